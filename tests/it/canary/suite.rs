//! The whole suite as a canary: what its tests use as passwords and values is in no line of the log.
//!
//! `scripts/canary` says where to write what is found, and runs all tests. They are run in the order
//! of their names, so that this one is among the first; where a test has a subscriber of its own, it
//! looks at that itself.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::mem::forget;
use std::path::PathBuf;
use std::sync::LazyLock;

use super::watch::Watch;

/// The file that gets the lines in which something was found.
static REPORT: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| std::env::var_os("FOREWARM_CANARY").map(PathBuf::from));

/// What tests use as passwords and as values, and the values as the bytes that they are.
const WORDS: [&str; 11] = [
    "s3cret",
    "gu3ss",
    "hunter2",
    "secret@",
    ":secret",
    "SECRET",
    "VALUE of",
    "CANARY",
    "\"Ada\"",
    "[65, 100, 97]",
    "[66, 111, 98]",
];

/// A control: a line with this in it must be found.
const CONTROL: &str = "a canary that sings";

/// How many lines go by between two notes of how many there were.
const NOTED_EVERY: u64 = 1_000;

pub(super) fn found(line: &str) {
    // Tests watch for what is to be said too.
    if REPORT.is_some() && WORDS.iter().any(|word| line.contains(word)) {
        append(&format!("found: {line}"));
    }
}

pub(super) fn looked_through(nth: u64) {
    if let Some(report) = REPORT.as_ref().filter(|_report| nth.is_multiple_of(NOTED_EVERY)) {
        std::fs::write(report.with_extension("count"), nth.to_string()).unwrap();
    }
}

fn append(text: &str) {
    if let Some(report) = REPORT.as_ref() {
        let mut file = OpenOptions::new().create(true).append(true).open(report).unwrap();
        writeln!(file, "{}", text.trim_end()).unwrap();
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "whoever reads the output must know what was not tried")]
fn a_canary_that_sings_is_heard_for_as_long_as_the_suite_runs() {
    if REPORT.is_none() {
        return println!("skipped: FOREWARM_CANARY is not set, see scripts/canary");
    }
    for word in WORDS {
        forget(Watch::of(word));
    }
    let control = Watch::of(CONTROL);
    std::thread::spawn(|| tracing::trace!("{CONTROL}")).join().unwrap();
    assert_eq!(control.lines().len(), 1);
    append("watching");
}
