//! Figures as people read them.

use std::time::Duration;

use crate::service::console;

/// A count, such as `12,345`.
pub(super) fn count(count: u64) -> String {
    console::grouped(count)
}

/// A whole amount, such as `−12,345`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as it is shown")]
pub(super) fn grouped(amount: f64) -> String {
    let amount = amount.round();
    let text = console::grouped(amount.abs() as u64);
    if amount < 0.0 { format!("−{text}") } else { text }
}

/// A share, such as `12.3 %`.
pub(super) fn percent(share: f64) -> String {
    signed(format!("{:.1} %", share * 100.0))
}

/// A change, such as `+12.3 %`.
pub(super) fn change(share: f64) -> String {
    signed(format!("{:+.1} %", share * 100.0))
}

/// The minus of a formatted number becomes one as wide as a plus; nothing is less than 0.0.
pub(super) fn signed(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.contains(|digit: char| ('1'..='9').contains(&digit)) => {
            format!("−{rest}")
        }
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

/// A span in the largest unit that it fills, or in two, such as `12 h 55 min`.
pub(super) fn span(span: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let whole = span.as_secs();
    let Some(first) = UNITS.iter().position(|(unit, _)| whole >= *unit) else {
        return format!("{} ms", span.as_millis());
    };
    let mut rest = whole;
    let mut parts = Vec::new();
    for (unit, name) in UNITS.iter().skip(first).take(2) {
        if rest / unit > 0 {
            parts.push(format!("{} {name}", count(rest / unit)));
        }
        rest %= unit;
    }
    parts.join(" ")
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "a figure to be shown")]
pub(super) const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_people_read_them() {
        assert_eq!(
            [percent(0.1234), percent(-0.5), percent(1.0)],
            ["12.3 %", "−50.0 %", "100.0 %"]
        );
        assert_eq!([change(0.2), change(-0.0004), change(-0.1)], ["+20.0 %", "0.0 %", "−10.0 %"]);
        assert_eq!([grouped(-1_234.4), grouped(0.2), grouped(-0.2)], ["−1,234", "0", "0"]);
    }

    #[test]
    fn spans_are_written_in_one_or_two_units() {
        let cases = [
            (0, "0 ms"),
            (250, "250 ms"),
            (59_000, "59 s"),
            (60_000, "1 min"),
            (46_500_000, "12 h 55 min"),
            (86_400_000, "1 d"),
            (86_460_000, "1 d"),
        ];
        for (millis, text) in cases {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }
}
