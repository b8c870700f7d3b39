//! Recorded requests: any bytes are read without a panic, and what is read is in order.
#![no_main]

use std::collections::BTreeSet;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(requests) = forewarm::fuzzing::read_trace(bytes) else { return };
    let first = requests.first().expect("a trace has a request");
    assert_eq!(first.0, Duration::ZERO);
    assert!(requests.is_sorted_by_key(|(at, ..)| *at));
    dense(requests.iter().map(|(_, key, _)| *key));
    dense(requests.iter().filter_map(|(.., client)| *client));
});

/// Numbers are given from 0 and none is left out.
fn dense(numbers: impl Iterator<Item = u32>) {
    let numbers: BTreeSet<_> = numbers.collect();
    assert!(numbers.iter().copied().eq(0..numbers.len() as u32));
}
