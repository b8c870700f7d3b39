//! What a bounded resource costs in memory: the growth of the resident set while two million
//! different keys are read, against the bound that was set and what learning may take; and what it
//! costs to remember what follows a key. `--json` prints an object.
//!
//! Linux only, since it reads `/proc`. Ends with 1 if the growth exceeds the bound by more than a
//! tenth, or a key costs more than 256 bytes.

#![expect(clippy::print_stdout, reason = "it prints what it measures")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

use std::process::Command;

use forewarm::{Bytes, Capacity, Config, Forewarm, LoadError, PreloadMode};
use serde::Serialize;

use self::resident::resident_bytes;

#[path = "side_by_side/resident.rs"]
mod resident;

const CAPACITY: Bytes = Bytes::mib(64);
/// What learning may take besides, under its defaults: see `LearningConfig::keys_max`.
const LEARNING: Bytes = Bytes::mib(10);
const KEYS: u64 = 2_000_000;
const VALUE_BYTES: usize = 200;
/// Reads between two looks at the resident set.
const STEP: u64 = 5_000;
/// What the growth may be of the bound.
const GATE: f64 = 1.10;
/// The keys whose followers are remembered.
const LEARNED: u64 = 1 << 18;
/// What each of them may cost.
const LEARNED_GATE: u64 = 256;

#[derive(Serialize)]
struct Figures {
    bound_bytes: u64,
    peak_bytes: u64,
    ratio: f64,
    bytes_per_learned_key: u64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let (wants_json, is_trial) = (has("--json"), has("--test"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let baseline = resident_bytes().unwrap();
    let (keys, learned) = if is_trial { (STEP, 1 << 10) } else { (KEYS, LEARNED) };
    for (flag, mode) in [(WITHOUT, PreloadMode::Off), (WITH, PreloadMode::Observe)] {
        if has(flag) {
            println!("{}", runtime.block_on(learn(learned, mode)));
            return;
        }
    }
    let peak_bytes = runtime.block_on(peak(keys)).saturating_sub(baseline);
    let bound_bytes = CAPACITY.get() + LEARNING.get();
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let ratio = peak_bytes as f64 / bound_bytes as f64;
    let with_learning = grown(WITH, is_trial).saturating_sub(grown(WITHOUT, is_trial));
    let bytes_per_learned_key = with_learning / learned;
    let figures = Figures { bound_bytes, peak_bytes, ratio, bytes_per_learned_key };
    if wants_json {
        println!("{}", serde_json::to_string(&figures).unwrap());
    } else {
        println!("bound {bound_bytes} B, resident set grown by {peak_bytes} B, ratio {ratio:.3}");
        println!("a key whose followers are remembered: {bytes_per_learned_key} B");
    }
    let is_met = ratio <= GATE && (is_trial || bytes_per_learned_key <= LEARNED_GATE);
    std::process::exit(i32::from(!is_met));
}

/// The resident set of a process of its own that reads the same keys, with learning or without.
fn grown(flag: &str, is_trial: bool) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.arg(flag);
    if is_trial {
        child.arg("--test");
    }
    let said = child.output().unwrap().stdout;
    String::from_utf8(said).unwrap().trim().parse().unwrap()
}

const WITH: &str = "--learning";
const WITHOUT: &str = "--no-learning";

/// The resident set after keys were read in a fixed order, three times, and twice as many as are
/// remembered: the cap is to hold.
async fn learn(learned: u64, mode: PreloadMode) -> u64 {
    let mut config = Config::default();
    config.learning.keys_max = usize::try_from(learned).unwrap();
    let forewarm = Forewarm::builder().config(config).build().await.unwrap();
    let items = forewarm
        .resource::<u64, ()>("item")
        .capacity(Capacity::Entries(1_000))
        .preload(mode)
        .load_with(|_key| async { Ok::<_, LoadError>(()) })
        .build()
        .unwrap();
    forewarm.start().await.unwrap();
    for _ in 0..3 {
        for key in 0..2 * learned {
            items.get(&key).await.unwrap();
            // The learner gets a turn before reads have to be dropped.
            if key % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
    resident_bytes().unwrap()
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
            peak = peak.max(resident_bytes().unwrap());
        }
    }
    peak
}
