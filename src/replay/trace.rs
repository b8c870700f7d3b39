//! Recorded requests, read from a CSV or from the log of a web server.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

pub(crate) use self::compression::Compression;
pub(crate) use self::error::TraceError;
pub(crate) use self::line::FlawedLine;
use self::lines::Lines;
use self::metered::Metered;
use self::reading::Reading;
pub(crate) use self::texts::Texts;

mod compression;
mod csv;
mod error;
mod format;
mod frames;
mod line;
mod lines;
mod log;
mod metered;
mod names;
mod reading;
#[cfg(test)]
mod recorded;
mod texts;

/// Requests that were once made, or made up, in the order of time.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    /// The name of the file, without the endings that say how it is written.
    pub(crate) name: String,
    /// Never empty, unless none were asked for.
    pub(crate) requests: Vec<Request>,
    /// The names of the resources that are read; [`RESOURCE`] alone if nothing tells them apart.
    pub(crate) resources: Vec<String>,
    /// How many different keys there are, over all resources. Those of a file are numbered from 0,
    /// in the order of the file.
    pub(crate) keys: u32,
    /// What the keys are called in the file; empty if they are made up.
    pub(crate) key_names: Texts,
    /// How many different clients there are, numbered likewise.
    pub(crate) clients: u32,
    /// What the lines of the file were.
    pub(crate) notes: Notes,
}

/// One read of a key. Earlier ones are less.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Request {
    /// Since the first request of the trace.
    pub(crate) at: Duration,
    /// The place of the resource among [`Trace::resources`]; 0 in files.
    pub(crate) resource: u16,
    /// Keys of different resources with the same number have the same id.
    pub(crate) key: u32,
    pub(crate) client: Option<u32>,
    /// Whether it follows a read with the same id of another resource, which was the first ever
    /// with that id. Nothing marks such requests in files.
    pub(crate) is_first_follow_up: bool,
}

/// The name of the resource, where there is but one.
pub(crate) const RESOURCE: &str = "trace";

/// What the lines of a file were, for the report.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Notes {
    /// All lines, but for empty ones and the header of a CSV.
    pub(crate) lines: u64,
    /// Requests that are older than the one before them.
    pub(crate) out_of_order: u64,
    /// Lines that say something else than that a key was read: writes, failures.
    pub(crate) skipped: u64,
    /// Lines that say nothing.
    pub(crate) unreadable: u64,
    /// The first of them.
    pub(crate) first_unreadable: Option<FlawedLine>,
}

impl Trace {
    /// Reads a file, or its first `limit` requests.
    ///
    /// Format and compression are told by the content. Memory grows with the number of requests
    /// and of different keys, not with the length of the file. `progress` is called with the
    /// number of bytes read from the file so far.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or ends too early; fewer than half of its lines can be understood;
    /// or there is no request in it. Single lines that cannot be understood are only noted.
    pub(crate) fn read(
        path: &Path,
        limit: Option<usize>,
        progress: impl FnMut(u64),
    ) -> Result<Self, TraceError> {
        let file = path.display().to_string();
        match File::open(path) {
            Ok(source) => Self::read_from(source, path, limit, progress),
            Err(source) => Err(TraceError::Open { file, source }),
        }
    }

    /// Reads what `source` holds as if it were the file at `path`.
    ///
    /// # Errors
    ///
    /// As [`Trace::read`].
    pub(crate) fn read_from(
        source: impl Read,
        path: &Path,
        limit: Option<usize>,
        progress: impl FnMut(u64),
    ) -> Result<Self, TraceError> {
        let file = path.display().to_string();
        let (compression, text) = match Compression::open(Metered::new(source, progress)) {
            Ok(opened) => opened,
            Err(source) => return Err(TraceError::Open { file, source }),
        };
        let mut lines = Lines::new(text);
        let mut reading = Reading::new(limit);
        while !reading.is_done() {
            match lines.next() {
                Ok(Some(line)) => reading.take(line).map_err(|refusal| refusal.of(&file))?,
                Ok(None) => break,
                Err(source) => {
                    let lines = lines.count();
                    return Err(TraceError::Broken { file, lines, compression, source });
                }
            }
        }
        reading.finish(name(path)).map_err(|refusal| refusal.of(&file))
    }
}

impl Trace {
    /// Spreads requests of the same moment evenly over `span`, where a log has whole seconds only.
    pub(crate) fn spread(&mut self, span: Duration) {
        if span.is_zero() {
            return;
        }
        for group in self.requests.chunk_by_mut(|a, b| a.at == b.at) {
            let count = u32::try_from(group.len()).unwrap_or(u32::MAX);
            for (request, nth) in group.iter_mut().zip(0..) {
                request.at += span * nth / count;
            }
        }
        // A span longer than the time between two moments makes them overlap.
        self.requests.sort_by_key(|request| request.at);
    }

    /// How many different keys each resource has.
    pub(crate) fn keys_by_resource(&self) -> Vec<u32> {
        let mut keys = vec![0; self.resources.len()];
        let mut seen = HashSet::new();
        for request in &self.requests {
            if seen.insert((request.resource, request.key))
                && let Some(count) = keys.get_mut(usize::from(request.resource))
            {
                *count += 1;
            }
        }
        keys
    }
}

/// The name of a trace.
fn name(path: &Path) -> String {
    let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let unpacked = without_ending(&file, &[".gz", ".xz", ".zst"]);
    without_ending(unpacked, &[".csv", ".log"]).to_owned()
}

fn without_ending<'a>(name: &'a str, endings: &[&str]) -> &'a str {
    endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::line::Flaw;
    use super::*;

    const LOG: &str = r#"h - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326"#;

    fn trace(text: &[u8]) -> Result<Trace, TraceError> {
        Trace::read_from(text, Path::new("dir/day.csv.gz"), None, |_| {})
    }

    /// The whole of what an error says.
    fn said(error: &TraceError) -> String {
        use std::error::Error as _;
        error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
    }

    #[test]
    fn keys_and_clients_are_numbered_and_times_begin_at_zero() {
        let text = b"timestamp_s,key,client\n10,b,x\n10.5,a,\n\n12,b,y\r\n13,c,x";
        let trace = trace(text).unwrap();
        let request = |millis, key, client| {
            let at = Duration::from_millis(millis);
            Request { at, key, client, ..Request::default() }
        };
        let expected = [
            request(0, 0, Some(0)),
            request(500, 1, None),
            request(2_000, 0, Some(1)),
            request(3_000, 2, Some(0)),
        ];
        assert_eq!(trace.requests, expected);
        assert_eq!((trace.keys, trace.clients), (3, 2));
        assert_eq!(
            (trace.resources.as_slice(), trace.keys_by_resource()),
            (&[RESOURCE.to_owned()][..], vec![3])
        );
        assert_eq!(trace.notes, Notes { lines: 4, ..Notes::default() });
    }

    #[test]
    fn requests_are_sorted_and_those_of_one_moment_stay_in_order() {
        let trace = trace(b"timestamp_s,key\n5,a\n3,b\n4,c\n3,d\n5,e").unwrap();
        let seen: Vec<_> = trace.requests.iter().map(|r| (r.at.as_secs(), r.key)).collect();
        assert_eq!(seen, [(0, 1), (0, 3), (1, 2), (2, 0), (2, 4)]);
        assert_eq!(trace.notes.out_of_order, 2);
    }

    #[test]
    fn what_is_no_request_is_noted() {
        let long = "x".repeat(1 << 17);
        let text =
            format!("{LOG}\n{LOG}\nwhat\u{1b}\n{LOG}\n{long}\n{}\n", LOG.replace("200", "404"));
        let trace = trace(text.as_bytes()).unwrap();
        assert_eq!((trace.requests.len(), trace.keys, trace.clients), (3, 1, 1));
        let first = FlawedLine { number: 3, flaw: Flaw::Time, beginning: "what\\u{1b}".into() };
        let notes = Notes {
            lines: 6,
            out_of_order: 0,
            skipped: 1,
            unreadable: 2,
            first_unreadable: Some(first),
        };
        assert_eq!(trace.notes, notes);
    }

    #[test]
    fn no_more_is_read_than_was_asked_for() {
        let text = [b"timestamp_s,key\n".as_slice(), &b"1,a\n2,b\n3,c\n".repeat(1 << 16)].concat();
        for limit in [0, 1, 2, 4] {
            let mut bytes = 0;
            let path = Path::new("t");
            let trace = Trace::read_from(text.as_slice(), path, Some(limit), |read| bytes = read);
            let trace = trace.unwrap();
            assert_eq!((trace.requests.len(), trace.keys as usize), (limit, limit.min(3)));
            assert!(bytes < text.len() as u64, "{bytes} bytes for {limit}");
        }
    }

    #[test]
    fn progress_ends_with_the_length_of_the_file() {
        let text = [b"timestamp_s,key\n".as_slice(), &b"1,a\n".repeat(1 << 16)].concat();
        let mut seen = vec![0];
        Trace::read_from(text.as_slice(), Path::new("t"), None, |bytes| seen.push(bytes)).unwrap();
        assert!(seen.is_sorted() && seen.len() > 4, "{seen:?}");
        assert_eq!(seen.last(), Some(&(text.len() as u64)));
    }

    #[test]
    fn a_file_of_which_half_is_readable_is_a_trace() {
        for (good, bad, is_trace) in [(1, 0, true), (1, 1, true), (1, 2, false), (2, 3, false)] {
            let text = format!("{}{}", format!("{LOG}\n").repeat(good), "what\n".repeat(bad));
            assert_eq!(trace(text.as_bytes()).is_ok(), is_trace, "{good} good, {bad} bad");
        }
    }

    #[test]
    fn errors_say_which_file_which_line_and_what_would_be_right() {
        let damaged = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0], b"what".as_slice()].concat();
        for (text, expected) in [
            (b"".as_slice(), vec!["dir/day.csv.gz", "no request", "`GET`"]),
            (b"timestamp_s,key,op\n1,a,set\n", vec!["no request", "1 lines that are none"]),
            (b"\ntimestamp_s,id\n1,a\n", vec!["dir/day.csv.gz", "line 2", "no column `key`"]),
            (
                b"timestamp_s,key\nx,a\n",
                vec!["1 of 1", "line 2 (`x,a`)", "seconds", "`12.5,user:7`"],
            ),
            (
                b"what\n",
                vec!["dir/day.csv.gz", "line 1 (`what`)", "in brackets", "`timestamp_s,key`"],
            ),
            (&damaged, vec!["`dir/day.csv.gz` (gzip)", "after 0 lines", ": "]),
        ] {
            let said = said(&trace(text).unwrap_err());
            for part in expected {
                assert!(said.contains(part), "`{part}` is not in: {said}");
            }
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Trace::read(Path::new("no/such.csv"), None, |_| {}).unwrap_err();
        assert!(error.to_string().contains("`no/such.csv`"), "{error}");
    }

    #[test]
    fn traces_are_named_after_their_files() {
        for (path, expected) in [
            ("dir/day.csv.xz", "day"),
            ("day.log.zst", "day"),
            ("day.log", "day"),
            ("access.log.1.gz", "access.log.1"),
            ("day", "day"),
        ] {
            assert_eq!(name(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn a_file_that_is_cut_off_tells_how_far_it_could_be_read() {
        let mut packer = GzEncoder::new(Vec::new(), flate2::Compression::none());
        let line = b"12,user:7\n";
        packer
            .write_all(&[b"timestamp_s,key\n".as_slice(), &line.repeat(20_000)].concat())
            .unwrap();
        let packed = packer.finish().unwrap();
        let error = trace(&packed[..100_000]).unwrap_err();
        let TraceError::Broken { lines, compression, .. } = error else { panic!("{error}") };
        assert_eq!(compression, Compression::Gzip);
        // Stored without compression, so that each line is as long in the file.
        assert!((9_900..=10_000).contains(&lines), "{lines}");
    }

    /// Beginnings that lead to every part of the reader.
    const BEGINNINGS: [&[u8]; 8] = [
        b"",
        b"timestamp_s,key,client,op\n",
        b"timestamp_s,key,client,op\n1,k,\"c",
        LOG.as_bytes(),
        b"h - - [10/Oct/2000:13:55:36 -0700] \"",
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
        b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46\x02\0\x21\x01\x1c\0\0\0\x10\xcf\x58\xcc",
        b"\x28\xb5\x2f\xfd",
    ];

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            beginning in prop::sample::select(&BEGINNINGS),
            bytes in prop::collection::vec(any::<u8>(), 0..512),
        ) {
            if let Ok(trace) = trace(&[beginning, &bytes].concat()) {
                prop_assert!(trace.requests.is_sorted_by_key(|request| request.at));
                prop_assert!(trace.requests.iter().all(|request| request.key < trace.keys));
            }
        }
    }
}
