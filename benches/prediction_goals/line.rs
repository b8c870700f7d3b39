//! The lines of the report: a figure beside its gate.

use std::fmt;

use serde::{Serialize, Serializer};

/// Something to be reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) name: &'static str,
    /// None where the figure is only to be told.
    pub(crate) gate: Option<Bound>,
    pub(crate) aim: Option<Bound>,
}

/// What a figure is to keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

/// A figure of a goal. Its fields are those of the report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) goal: String,
    /// The trace, and how it was replayed.
    pub(crate) trace: String,
    /// None if it could not be had, and null in JSON too if nothing finite reaches the gate.
    pub(crate) value: Option<f64>,
    gate: Option<Bound>,
    aim: Option<Bound>,
    /// None where there is no gate, or no figure.
    pub(crate) ok: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// Whether another line sums it up; such a line is shown where its gate is missed.
    #[serde(skip)]
    pub(crate) is_detail: bool,
}

impl Goal {
    pub(crate) const fn new(name: &'static str, gate: Bound, aim: Bound) -> Self {
        Self { name, gate: Some(gate), aim: Some(aim) }
    }

    /// The line of a figure, or of the reason why there is none.
    pub(crate) fn line(&self, trace: impl Into<String>, value: Result<f64, String>) -> Line {
        let (value, note) = value.map_or_else(|why| (None, Some(why)), |value| (Some(value), None));
        let ok = self.gate.zip(value).map(|(gate, value)| gate.holds(value));
        Line {
            goal: self.name.to_owned(),
            trace: trace.into(),
            value,
            gate: self.gate,
            aim: self.aim,
            ok,
            note,
            is_detail: false,
        }
    }

    /// The same as one of several lines that another one sums up.
    pub(crate) fn detail(&self, trace: impl Into<String>, value: Result<f64, String>) -> Line {
        Line { is_detail: true, ..self.line(trace, value) }
    }

    /// The worst of several lines, which stands for all of them.
    pub(crate) fn worst(&self, details: &[Line]) -> Line {
        let figures = details.iter().filter_map(|line| Some((line, line.value?)));
        let badness = |value: f64| match self.gate.or(self.aim) {
            Some(Bound::AtLeast(_)) => -value,
            Some(Bound::AtMost(_)) | None => value,
        };
        let worst = figures.clone().max_by(|a, b| badness(a.1).total_cmp(&badness(b.1)));
        let Some((line, value)) = worst else {
            let why = details.iter().find_map(|line| line.note.clone());
            return self.line("all", Err(why.unwrap_or_else(|| "nothing to judge".to_owned())));
        };
        let mut summary = self.line(format!("worst: {}", line.trace), Ok(value));
        summary.note = Some(format!("of {}", figures.count()));
        summary
    }
}

impl Line {
    /// Takes the verdict back, since the figure covers only a part of what the goal is about.
    pub(crate) fn partial(mut self, note: String) -> Self {
        self.ok = None;
        self.note = Some(note);
        self
    }

    pub(crate) fn noting(mut self, note: String) -> Self {
        self.note = Some(note);
        self
    }

    /// What is shown of it, in the order of [`HEADER`].
    pub(crate) fn cells(&self) -> [String; 7] {
        let bound = |bound: Option<Bound>| bound.map_or_else(String::new, |it| it.to_string());
        let verdict = match self.ok {
            Some(true) => "yes",
            Some(false) => "MISSED",
            None => "",
        };
        let indent = if self.is_detail { "  " } else { "" };
        [
            format!("{indent}{}", self.goal),
            self.trace.clone(),
            self.value.map_or_else(|| "none".to_owned(), |value| format!("{value:.3}")),
            bound(self.gate),
            bound(self.aim),
            verdict.to_owned(),
            self.note.clone().unwrap_or_default(),
        ]
    }
}

pub(crate) const HEADER: [&str; 7] = ["goal", "trace", "value", "gate", "aim", "ok", "note"];

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "<= {}", rounded(*bound)),
            Self::AtLeast(bound) => write!(f, ">= {}", rounded(*bound)),
        }
    }
}

/// To three decimals, of which those that are zero are not written.
fn rounded(bound: f64) -> f64 {
    (bound * 1e3).round() / 1e3
}

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (Self::AtMost(bound) | Self::AtLeast(bound)) = self;
        serializer.serialize_f64(*bound)
    }
}
