//! How soon other engines heed a change, and what becomes of reads when the store is lost: on real
//! servers. `--json` prints an object; `propagation` or `lost-store` runs one of both.
//!
//! It ends with 1 if a gate is missed.

#![expect(clippy::print_stdout, reason = "it prints what it measures")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot go on has nothing to say"
)]
#![expect(clippy::disallowed_methods, reason = "the callers of a cache are tasks of their own")]

use serde::Serialize;

mod lost_store;
mod propagation;

#[derive(Serialize)]
struct Report {
    propagation: Vec<propagation::Spread>,
    lost_store: Option<lost_store::Loss>,
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let is_trial = has("--test");
    let both = !has("propagation") && !has("lost-store");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut report = Report { propagation: Vec::new(), lost_store: None };
    if both || has("propagation") {
        let rounds = if is_trial { 10 } else { 2_000 };
        report.propagation = runtime.block_on(propagation::measure(rounds));
    }
    if both || has("lost-store") {
        report.lost_store = Some(runtime.block_on(Box::pin(lost_store::measure(is_trial))));
    }
    if has("--json") {
        println!("{}", serde_json::to_string_pretty(&report).unwrap());
    } else {
        report.propagation.iter().for_each(propagation::Spread::print);
        report.lost_store.iter().for_each(lost_store::Loss::print);
    }
    let is_good = report.propagation.iter().all(|spread| spread.ok)
        && report.lost_store.iter().all(|loss| loss.ok);
    std::process::exit(i32::from(!is_good && !is_trial));
}
