//! A figure, and what it is judged by.

use std::fmt;

use serde::{Serialize, Serializer};

/// A figure, and what it is judged by. Its fields are those of the report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// The number of the goal, 1 to 17.
    pub(crate) goal: u8,
    pub(crate) name: String,
    /// Ours; null in JSON where it could not be measured.
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) yardstick: Option<Yardstick>,
    /// The median over all rounds of ours by the yardstick's, or of the yardstick's by ours where
    /// the limits are of the kind "at least": so many times faster.
    pub(crate) ratio: Option<f64>,
    /// The limits are those of the ratio where there is one, else of the value.
    pub(crate) gate: Option<Limit>,
    pub(crate) aim: Option<Limit>,
    /// None where nothing is to be judged, or it could not be measured.
    pub(crate) ok: Option<bool>,
    /// Why it could not be measured, or what limits it.
    pub(crate) note: String,
}

/// What a figure is compared with.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Yardstick {
    pub(crate) name: String,
    pub(crate) value: f64,
    /// The median ratio of the second measurement of each round to the first.
    pub(crate) to_itself: f64,
}

/// What a figure is to keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

/// What must hold, and what is aimed at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) gate: Option<Limit>,
    pub(crate) aim: Option<Limit>,
}

impl Limits {
    /// Nothing is to be judged.
    pub(crate) const NONE: Self = Self { gate: None, aim: None };

    pub(crate) const fn at_most(gate: f64, aim: f64) -> Self {
        Self { gate: Some(Limit::AtMost(gate)), aim: Some(Limit::AtMost(aim)) }
    }

    pub(crate) const fn at_least(gate: f64, aim: f64) -> Self {
        Self { gate: Some(Limit::AtLeast(gate)), aim: Some(Limit::AtLeast(aim)) }
    }

    /// Whether more is better.
    pub(crate) const fn are_at_least(&self) -> bool {
        matches!(self.gate, Some(Limit::AtLeast(_)))
    }
}

impl Figure {
    /// A figure that stands by itself.
    pub(crate) fn new(goal: u8, name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        let (name, note) = (name.into(), String::new());
        let (yardstick, ratio, gate, aim, ok) = (None, None, None, None, None);
        Self { goal, name, value, unit, yardstick, ratio, gate, aim, ok, note }
    }

    /// What could not be measured, and why.
    pub(crate) fn missing(
        goal: u8,
        name: impl Into<String>,
        limits: Limits,
        why: impl Into<String>,
    ) -> Self {
        let Limits { gate, aim } = limits;
        Self { gate, aim, note: why.into(), ..Self::new(goal, name, f64::NAN, "") }
    }

    /// The same beside a yardstick.
    pub(crate) fn beside(self, yardstick: Yardstick, ratio: f64) -> Self {
        Self { yardstick: Some(yardstick), ratio: Some(ratio), ..self }
    }

    /// The same, judged: the ratio where there is one, else the value.
    pub(crate) fn judged(self, limits: Limits) -> Self {
        let judged = self.ratio.unwrap_or(self.value);
        let ok = limits.gate.map(|gate| gate.holds(judged));
        Self { gate: limits.gate, aim: limits.aim, ok, ..self }
    }

    pub(crate) fn noting(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}

impl Limit {
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "<= {limit}"),
            Self::AtLeast(limit) => write!(f, ">= {limit}"),
        }
    }
}

impl Serialize for Limit {
    /// As it is written in the table: `<= 0.3`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

pub(crate) const HEADER: [&str; 10] =
    ["goal", "figure", "value", "yardstick", "to itself", "ratio", "gate", "aim", "ok", "note"];

impl Figure {
    /// What the table shows of it, in the order of [`HEADER`].
    pub(crate) fn cells(&self) -> [String; 10] {
        let limit = |limit: Option<Limit>| limit.map_or_else(String::new, |it| it.to_string());
        let of_yardstick =
            |part: fn(&Yardstick) -> String| self.yardstick.as_ref().map_or_else(String::new, part);
        let verdict = match self.ok {
            Some(true) => "yes",
            Some(false) => "MISSED",
            None => "",
        };
        let value = if self.value.is_nan() {
            "none".to_owned()
        } else {
            format!("{} {}", in_short(self.value), self.unit)
        };
        [
            self.goal.to_string(),
            self.name.clone(),
            value,
            of_yardstick(|yardstick| format!("{}: {}", yardstick.name, in_short(yardstick.value))),
            of_yardstick(|yardstick| format!("{:.3}", yardstick.to_itself)),
            self.ratio.map_or_else(String::new, in_short),
            limit(self.gate),
            limit(self.aim),
            verdict.to_owned(),
            self.note.clone(),
        ]
    }
}

/// With three digits that mean something.
fn in_short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
