//! A trace while it is being read.

use super::error::Refusal;
use super::format::Format;
use super::line::{Access, Flaw, FlawedLine, Stamp};
use super::lines::Line;
use super::names::Names;
use super::{Notes, RESOURCE, Request, Trace};

/// A trace while it is being read. The times of its requests are [`Stamp`]s until it is finished.
#[derive(Debug)]
pub(super) struct Reading {
    requests_max: usize,
    format: Option<Format>,
    requests: Vec<Request>,
    last: Stamp,
    keys: Names,
    clients: Names,
    notes: Notes,
}

impl Reading {
    pub(super) fn new(limit: Option<usize>) -> Self {
        Self {
            requests_max: limit.unwrap_or(usize::MAX),
            format: None,
            requests: Vec::new(),
            last: Stamp::default(),
            keys: Names::default(),
            clients: Names::default(),
            notes: Notes::default(),
        }
    }

    /// Whether no more lines are needed.
    pub(super) const fn is_done(&self) -> bool {
        self.requests.len() >= self.requests_max
    }

    /// Takes the next line.
    pub(super) fn take(&mut self, line: Line<'_>) -> Result<(), Refusal> {
        if line.bytes.is_some_and(|bytes| bytes.trim_ascii().is_empty()) {
            return Ok(());
        }
        let format = match self.format {
            Some(format) => format,
            None => {
                let format = Format::of(line.bytes.unwrap_or_default())
                    .map_err(|column| Refusal::Column { line: line.number, column })?;
                self.format = Some(format);
                if matches!(format, Format::Csv(_)) {
                    return Ok(());
                }
                format
            }
        };
        self.notes.lines += 1;
        match line.bytes.ok_or(Flaw::TooLong).and_then(|bytes| format.parse(bytes)) {
            Ok(Some(access)) => {
                self.add(&access).ok_or(Refusal::TooManyNames { line: line.number })?;
            }
            Ok(None) => self.notes.skipped += 1,
            Err(flaw) => self.note(line, flaw),
        }
        Ok(())
    }

    fn add(&mut self, access: &Access<'_>) -> Option<()> {
        let key = self.keys.number(&access.key)?;
        let client = match access.client.as_ref() {
            [] => None,
            client => Some(self.clients.number(client)?),
        };
        self.notes.out_of_order += u64::from(access.at < self.last);
        self.last = access.at;
        self.requests.push(Request { at: access.at.0, key, client, ..Request::default() });
        Some(())
    }

    fn note(&mut self, line: Line<'_>, flaw: Flaw) {
        self.notes.unreadable += 1;
        let bytes = line.bytes.unwrap_or_default();
        self.notes
            .first_unreadable
            .get_or_insert_with(|| FlawedLine::new(line.number, flaw, bytes));
    }

    /// The trace, once there are no more lines.
    pub(super) fn finish(self, name: String) -> Result<Trace, Refusal> {
        let Self { requests_max, format, mut requests, keys, clients, notes, .. } = self;
        let Notes { lines, out_of_order, skipped, unreadable, .. } = notes;
        if let (Some(format), Some(first)) = (format, &notes.first_unreadable)
            && unreadable > lines / 2
        {
            let (first, expected) = (Box::new(first.clone()), format.expected());
            return Err(Refusal::Unreadable { unreadable, lines, first, expected });
        }
        if requests.is_empty() && requests_max > 0 {
            return Err(Refusal::Empty { skipped });
        }
        if out_of_order > 0 {
            requests.sort_by_key(|request| request.at);
        }
        let start = requests.first().map(|request| request.at).unwrap_or_default();
        for request in &mut requests {
            request.at = request.at.saturating_sub(start);
        }
        requests.shrink_to_fit();
        let resources = vec![RESOURCE.to_owned()];
        let (clients, key_names) = (clients.count(), keys.into_texts());
        let keys = key_names.count();
        Ok(Trace { name, requests, resources, keys, key_names, clients, notes })
    }
}
