//! Goal 7: what it costs to look after a million entries, on paused time.

use crate::ageing::{TTL_SECS, World};
use crate::figure::{Figure, Limits};
use crate::turns::{Effort, median};

const KEYS: u64 = 1_000_000;

pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let keys = if effort.is_trial { 30_000 } else { KEYS };
    let mut world = World::new(keys, 1);
    let ticks = (0..effort.rounds).map(|_| world.pass_a_second().as_secs_f64() * 1e3).collect();
    let name = format!("a second, in which {} of {keys} keys come due", keys / TTL_SECS);
    vec![Figure::new(7, name, median(ticks), "ms").judged(Limits::at_most(1.0, 0.1))]
}
