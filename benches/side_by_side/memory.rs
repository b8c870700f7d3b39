//! Goal 9: the bytes that an entry costs over its key and its value, beside moka.
//!
//! Each is measured in a process of its own, whose resident set nothing else has touched.

use std::process::Command;

use futures_util::FutureExt as _;

use crate::figure::{Figure, Limits, Yardstick};
use crate::keys::names;
use crate::resident::resident_bytes;
use crate::turns::{Effort, median};
use crate::world::{Moka, engine, policy, value};

const ENTRIES: usize = 1_000_000;
const KEY_AND_VALUE: f64 = 21.0 + 200.0;

/// Which cache a process of its own is to fill.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Filled {
    Forewarm,
    Moka,
}

pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let rounds = if effort.is_trial { 1 } else { 3 };
    let entries = effort.scaled(ENTRIES);
    let mut bytes = [(Filled::Moka, Vec::new()), (Filled::Forewarm, Vec::new())];
    for _ in 0..2 * rounds {
        for (filled, bytes) in &mut bytes {
            match bytes_in_a_child(*filled, entries) {
                Some(measured) => bytes.push(measured),
                None => return vec![missing("the resident set could not be read from /proc")],
            }
        }
    }
    let [(_, moka), (_, ours)] = bytes;
    let to_itself = moka.chunks(2).map(|pair| pair[1] / pair[0]).collect();
    let ratio = median(ours.iter().zip(&moka).map(|(ours, moka)| ours / moka).collect());
    let yardstick =
        Yardstick { name: "moka".to_owned(), value: median(moka), to_itself: median(to_itself) };
    let name = format!("bytes over key and value, {entries} entries, default shares");
    vec![Figure::new(9, name, median(ours), "B").beside(yardstick, ratio).judged(LIMITS)]
}

const LIMITS: Limits = Limits::at_most(0.6, 0.35);

fn missing(why: &str) -> Figure {
    Figure::missing(9, "bytes over key and value", LIMITS, why)
}

fn bytes_in_a_child(filled: Filled, entries: usize) -> Option<f64> {
    let filled = match filled {
        Filled::Forewarm => "forewarm",
        Filled::Moka => "moka",
    };
    let mut child = Command::new(std::env::current_exe().ok()?);
    let output = child.args(["--fill", filled, "--count", &entries.to_string()]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Fills a cache; gives the bytes that an entry takes over its key and value.
pub(crate) fn fill(filled: Filled, entries: usize) -> Option<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let names = names(entries);
    let (grown, held) = runtime.block_on(async {
        match filled {
            Filled::Forewarm => {
                let (forewarm, resource) = engine(policy(entries as u64)).await;
                let before = resident_bytes()?;
                for (nth, name) in names.iter().enumerate() {
                    resource.get(name.as_str()).await.unwrap();
                    // The learner gets a turn.
                    if nth % 64 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                let grown = resident_bytes()?.saturating_sub(before);
                let held = resource.stats().entries;
                drop(forewarm);
                Some((grown, held))
            }
            Filled::Moka => {
                let moka = Moka::new(entries as u64);
                let before = resident_bytes()?;
                for name in &names {
                    moka.insert(name.clone(), value()).now_or_never();
                }
                moka.run_pending_tasks().await;
                Some((resident_bytes()?.saturating_sub(before), moka.entry_count()))
            }
        }
    })?;
    Some(grown as f64 / held as f64 - KEY_AND_VALUE)
}
