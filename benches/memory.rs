//! What a bounded resource costs in memory: the growth of the resident set while two million
//! different keys are read, against the bound that was set. `--json` prints an object.
//!
//! Linux only, since it reads `/proc`. Ends with 1 if the growth exceeds the bound by more than a
//! tenth.

#![expect(clippy::print_stdout, reason = "it prints what it measures")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

use std::fs;

use forewarm::{Bytes, Forewarm, LoadError};
use serde::Serialize;

const CAPACITY: Bytes = Bytes::mib(64);
const KEYS: u64 = 2_000_000;
const VALUE_BYTES: usize = 200;
/// Reads between two looks at the resident set.
const STEP: u64 = 5_000;
/// What the growth may be of the bound.
const GATE: f64 = 1.10;

#[derive(Serialize)]
struct Figures {
    bound_bytes: u64,
    peak_bytes: u64,
    ratio: f64,
}

fn main() {
    let has = |name: &str| std::env::args().any(|argument| argument == name);
    let (wants_json, is_trial) = (has("--json"), has("--test"));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let baseline = resident_bytes();
    let keys = if is_trial { STEP } else { KEYS };
    let peak_bytes = runtime.block_on(peak(keys)).saturating_sub(baseline);
    let bound_bytes = CAPACITY.get();
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let ratio = peak_bytes as f64 / bound_bytes as f64;
    let figures = Figures { bound_bytes, peak_bytes, ratio };
    if wants_json {
        println!("{}", serde_json::to_string(&figures).unwrap());
    } else {
        println!("bound {bound_bytes} B, resident set grown by {peak_bytes} B, ratio {ratio:.3}");
    }
    std::process::exit(i32::from(ratio > GATE));
}

/// The largest resident set while this many keys are read once each.
async fn peak(keys: u64) -> u64 {
    let forewarm = Forewarm::builder().build().await.unwrap();
    let items = forewarm
        .resource::<String, Vec<u8>>("item")
        .capacity(CAPACITY)
        .load_with(|_key| async { Ok::<_, LoadError>(vec![7_u8; VALUE_BYTES]) })
        .build()
        .unwrap();
    forewarm.start().await.unwrap();
    let mut peak = 0;
    for nth in 0..keys {
        items.get(&format!("item-{nth:012}")).await.unwrap();
        if nth % STEP == 0 || nth + 1 == keys {
            peak = peak.max(resident_bytes());
        }
    }
    peak
}

/// The memory of this process that is in RAM.
fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let resident: u64 = pages.split_whitespace().nth(1).unwrap().parse().unwrap();
    resident * rustix::param::page_size() as u64
}
