//! Who has changed what.

use std::collections::VecDeque;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;

use super::guard::Caller;

/// The latest changes that somebody has asked for; each is logged too.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    rows: Mutex<VecDeque<AuditRow>>,
}

/// A change that somebody has asked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct AuditRow {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// By which token; `anybody` where none is needed.
    by: String,
    /// What was done.
    #[schema(example = "trigger")]
    action: &'static str,
    /// To what; never a key.
    #[schema(example = "job `stocks`")]
    subject: String,
}

/// What is remembered; the log has more.
const ROWS_MAX: usize = 1_000;

impl Audit {
    /// Notes a change.
    pub(crate) fn note(&self, by: &Caller, action: &'static str, subject: impl Into<String>) {
        let (at, by, subject) = (Timestamp::now(), by.name.to_string(), subject.into());
        tracing::info!(target: "forewarm::audit", %by, action, subject, "changed");
        let mut rows = self.rows.lock();
        if rows.len() >= ROWS_MAX {
            rows.pop_back();
        }
        rows.push_front(AuditRow { at, by, action, subject });
    }

    /// The latest, newest first.
    pub(crate) fn newest(&self, count: usize) -> Vec<AuditRow> {
        self.rows.lock().iter().take(count).cloned().collect()
    }
}
