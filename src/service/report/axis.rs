//! From values to places, and the round values to mark between.

use super::figures::{self, grouped};

/// The values along one side of a plot, from end to end.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    /// What is marked, and how it is written.
    pub(super) ticks: Vec<(f64, String)>,
    /// What the values are, with their unit.
    pub(super) label: String,
}

/// Spans that people count in, in seconds, with the unit in which they are written.
const STEPS_S: [(f64, Unit); 25] = [
    (0.001, Unit::MILLISECOND),
    (0.01, Unit::MILLISECOND),
    (0.1, Unit::MILLISECOND),
    (1.0, Unit::SECOND),
    (2.0, Unit::SECOND),
    (5.0, Unit::SECOND),
    (10.0, Unit::SECOND),
    (20.0, Unit::SECOND),
    (60.0, Unit::MINUTE),
    (120.0, Unit::MINUTE),
    (300.0, Unit::MINUTE),
    (600.0, Unit::MINUTE),
    (1_200.0, Unit::MINUTE),
    (3_600.0, Unit::HOUR),
    (7_200.0, Unit::HOUR),
    (10_800.0, Unit::HOUR),
    (21_600.0, Unit::HOUR),
    (43_200.0, Unit::HOUR),
    (86_400.0, Unit::DAY),
    (172_800.0, Unit::DAY),
    (432_000.0, Unit::DAY),
    (864_000.0, Unit::DAY),
    (2_592_000.0, Unit::DAY),
    (8_640_000.0, Unit::DAY),
    (31_536_000.0, Unit::DAY),
];

/// A unit of time, in seconds.
#[derive(Clone, Copy, Debug)]
struct Unit(f64, &'static str);

impl Unit {
    const MILLISECOND: Self = Self(0.001, "milliseconds");
    const SECOND: Self = Self(1.0, "seconds");
    const MINUTE: Self = Self(60.0, "minutes");
    const HOUR: Self = Self(3_600.0, "hours");
    const DAY: Self = Self(86_400.0, "days");
}

impl Axis {
    /// Shares from `low` to `high`, marked in percent; it ends where a mark is.
    pub(super) fn percent(low: f64, high: f64, label: &str) -> Self {
        Self::round(low, high, label, |share, step| {
            let decimals = if step < 0.01 { 1 } else { 0 };
            figures::signed(format!("{:.decimals$} %", share * 100.0))
        })
    }

    /// Amounts from 0 on; it ends where a mark is.
    pub(super) fn amount(high: f64, label: &str) -> Self {
        Self::round(0.0, high, label, |amount, step| {
            if step < 1.0 { format!("{amount:.1}") } else { grouped(amount) }
        })
    }

    fn round(low: f64, high: f64, label: &str, write: impl Fn(f64, f64) -> String) -> Self {
        let values = round_values(low, high);
        let step = values.get(1).zip(values.first()).map_or(1.0, |(second, first)| second - first);
        Self {
            low: values.first().copied().unwrap_or(low),
            high: values.last().copied().unwrap_or(high),
            ticks: values.iter().map(|value| (*value, write(*value, step))).collect(),
            label: label.to_owned(),
        }
    }

    /// Seconds from 0 to exactly `span_s`; `label` says since when.
    pub(super) fn time(span_s: f64, label: &str) -> Self {
        let fits = |(step, _): &&(f64, Unit)| span_s / step <= MARKS_MOST;
        let last = (span_s.max(1.0), Unit::DAY);
        let (step, Unit(unit_s, unit)) = STEPS_S.iter().find(fits).copied().unwrap_or(last);
        let ticks = (0..)
            .map(|nth| f64::from(nth) * step)
            .take_while(|value| *value <= span_s)
            .map(|value| (value, grouped(value / unit_s)));
        let label = format!("{unit} {label}");
        Self { low: 0.0, high: span_s, ticks: ticks.collect(), label }
    }

    /// Where a value is, as a share of the axis; values beyond its ends are beyond 0 and 1.
    pub(super) fn share(&self, value: f64) -> f64 {
        let length = self.high - self.low;
        if length > 0.0 { (value - self.low) / length } else { 0.0 }
    }
}

/// More marks than that are hard to tell from each other.
const MARKS_MOST: f64 = 7.0;

/// The multiples of 1, 2 or 5 times a power of ten that begin and end around the given values.
fn round_values(low: f64, high: f64) -> Vec<f64> {
    let length = if high > low && (high - low).is_finite() { high - low } else { 1.0 };
    let power = 10_f64.powf((length / MARKS_MOST).log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = step.into_iter().find(|step| length / step <= MARKS_MOST).unwrap_or(length);
    // Sums of decimals are a little off, which must not cost or add a mark.
    let (first, slack) = ((low / step + 1e-9).floor(), 1e-9);
    let mut values: Vec<f64> = (0..20).map(|nth| (first + f64::from(nth)) * step).collect();
    let end = values.iter().position(|value| *value >= low + length - slack * step);
    values.truncate(end.map_or(values.len(), |end| end + 1));
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_reach_around_the_values() {
        let cases: [(f64, f64, &[f64]); 6] = [
            (0.0, 1.0, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (0.0, 0.47, &[0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
            (-0.03, 0.4, &[-0.1, 0.0, 0.1, 0.2, 0.3, 0.4]),
            (0.62, 0.98, &[0.6, 0.7, 0.8, 0.9, 1.0]),
            (0.0, 1_234.0, &[0.0, 200.0, 400.0, 600.0, 800.0, 1_000.0, 1_200.0, 1_400.0]),
            (3.0, 3.0, &[3.0, 3.2, 3.4, 3.6, 3.8, 4.0]),
        ];
        for (low, high, expected) in cases {
            let values = round_values(low, high);
            let is_near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6;
            let agree = values.len() == expected.len() && values.iter().zip(expected).all(is_near);
            assert!(agree, "{low} to {high}: {values:?}");
        }
    }

    #[test]
    fn marks_of_time_are_in_units_that_people_count_in() {
        let cases = [
            (0.5, "0 100 200 300 400 500", "milliseconds"),
            (90.0, "0 20 40 60 80", "seconds"),
            (3_600.0, "0 10 20 30 40 50 60", "minutes"),
            (46_475.0, "0 2 4 6 8 10 12", "hours"),
            (9.0 * 86_400.0, "0 2 4 6 8", "days"),
            (5e9, "0 57,870", "days"),
        ];
        for (span_s, marks, unit) in cases {
            let axis = Axis::time(span_s, "since then");
            let texts: Vec<_> = axis.ticks.iter().map(|tick| tick.1.as_str()).collect();
            assert_eq!((texts.join(" "), axis.label), (marks.into(), format!("{unit} since then")));
        }
    }

    #[test]
    fn values_have_their_place_between_the_ends() {
        let axis = Axis::percent(0.0, 0.5, "");
        for (value, share) in [(0.0, 0.0), (0.125, 0.25), (0.5, 1.0), (1.0, 2.0)] {
            assert!((axis.share(value) - share).abs() < 1e-9, "{value}");
        }
        let texts: Vec<_> = axis.ticks.into_iter().map(|tick| tick.1).collect();
        assert_eq!(texts, ["0 %", "10 %", "20 %", "30 %", "40 %", "50 %"]);
        let empty = Axis { low: 1.0, high: 1.0, ticks: vec![], label: String::new() };
        assert!(empty.share(1.0).abs() < 1e-9);
    }
}
