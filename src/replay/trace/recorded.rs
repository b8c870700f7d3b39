//! The reader against real traces, where they are at hand.

use std::path::{Path, PathBuf};

use super::Trace;

/// Name, requests, keys, clients, lines that cannot be read.
type Figures = (&'static str, usize, u32, u32, u64);

const CSV: [Figures; 13] = [
    ("nasa_19950801", 30_297, 1_739, 2_346, 0),
    ("sdsc_http_19950822", 25_050, 1_636, 3_071, 0),
    ("wikispeedia_unfinished", 129_295, 4_061, 11_485, 0),
    ("apache_semicomplete", 9_581, 1_387, 1_691, 0),
    ("erddap", 9_466, 3_633, 741, 0),
    ("anonreviews", 578_805, 247, 400_141, 0),
    ("cloudphysics_io", 113_872, 48_974, 0, 0),
    ("seq_cache2k_web12", 95_607, 13_756, 0, 0),
    ("seq_cache2k_web07", 76_118, 20_484, 0, 0),
    ("seq_cache2k_orm_busy_1M", 1_000_000, 44_178, 0, 0),
    ("seq_cloudphysics_w106_2M", 2_000_000, 42_479, 0, 0),
    ("seq_scarab_recs", 1_245_184, 258_368, 0, 0),
    ("seq_corda_vaultservice", 135_702, 90_468, 0, 0),
];

/// The CSVs that were made of these logs hold `GET` only. In the second, the last field of many
/// lines stands on a line of its own.
const LOGS: [Figures; 2] =
    [("apache_semicomplete", 9_614, 1_389, 1_706, 0), ("erddap_nginx", 9_472, 3_633, 747, 5_796)];

/// The folder of the traces, if it is there.
#[expect(clippy::print_stderr, reason = "a test that did nothing must say so")]
fn folder() -> Option<PathBuf> {
    let beside = || concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/traces").into();
    let folder = std::env::var_os("FOREWARM_TRACES").map_or_else(beside, PathBuf::from);
    if !folder.is_dir() {
        eprintln!("SKIPPED: no traces in {}; set FOREWARM_TRACES", folder.display());
        return None;
    }
    Some(folder)
}

fn check(file: &Path, figures: Figures) {
    let mut bytes = 0;
    let trace = Trace::read(file, None, |read| bytes = read).unwrap();
    let (name, requests, keys, clients, unreadable) = figures;
    assert_eq!(trace.name, name);
    let seen = (trace.requests.len(), trace.keys, trace.clients, trace.notes.unreadable);
    assert_eq!(seen, (requests, keys, clients, unreadable), "{name}");
    assert!(trace.requests.is_sorted_by_key(|request| request.at), "{name}");
    assert_eq!(bytes, file.metadata().unwrap().len(), "{name}");
}

#[test]
fn real_traces_hold_what_they_are_said_to_hold() {
    for figures in folder().iter().flat_map(|_| CSV) {
        check(&folder().unwrap().join(figures.0).with_extension("csv.xz"), figures);
    }
}

#[test]
fn real_logs_hold_what_they_are_said_to_hold() {
    for figures in folder().iter().flat_map(|_| LOGS) {
        check(&folder().unwrap().join("logs").join(figures.0).with_extension("log.xz"), figures);
    }
}
