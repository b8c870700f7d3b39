//! The resources that a replay reads.

use std::sync::Arc;

use tokio::time::Instant;

use super::series::Timeline;
use super::settings::policy;
use super::terms::Terms;
use super::trace::Trace;
use crate::builder::Forewarm;
use crate::error::{Error, LoadError};
use crate::resource::Resource;

/// Declares the resources of a trace, whose loader takes the latency and always has an answer.
pub(super) fn declare(
    forewarm: &Forewarm,
    trace: &Trace,
    terms: &Terms,
    timeline: &Arc<Timeline>,
) -> Result<Vec<Resource<u32, ()>>, Error> {
    let latency = terms.latency;
    let capacities = capacities(trace, terms.capacity);
    let declared = trace.resources.iter().zip(capacities).map(|(name, capacity)| {
        let noted = Arc::clone(timeline);
        forewarm
            .memory_resource::<u32, ()>(name)
            .policy(policy(terms, capacity))
            .load_with(move |_key| {
                noted.asks_source(Instant::now());
                async move {
                    if !latency.is_zero() {
                        tokio::time::sleep(latency).await;
                    }
                    Ok::<(), LoadError>(())
                }
            })
            .build()
    });
    declared.collect()
}

/// The capacity of each resource: its share of the whole is that of its keys.
fn capacities(trace: &Trace, whole: Option<u64>) -> Vec<Option<u64>> {
    let (Some(whole), true) = (whole, trace.resources.len() > 1) else {
        return vec![whole; trace.resources.len()];
    };
    let keys = trace.keys_by_resource();
    let all: u64 = keys.iter().copied().map(u64::from).sum();
    let (mut keys_before, mut given) = (0_u64, 0);
    let share = keys.into_iter().map(|keys| {
        keys_before += u64::from(keys);
        let up_to_here = u128::from(whole) * u128::from(keys_before) / u128::from(all.max(1));
        let up_to_here = u64::try_from(up_to_here).unwrap_or(whole);
        let capacity = up_to_here - given;
        given = up_to_here;
        Some(capacity.max(1))
    });
    share.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::synthetic::Workload;

    fn made(name: &str) -> Trace {
        Workload::named(name).unwrap().trace(10_000, 7)
    }

    #[test]
    fn resources_share_the_capacity_in_proportion_to_their_keys() {
        let bundles = made("bundles");
        for whole in [100, 101, 102, 103] {
            let shares: Vec<_> = capacities(&bundles, Some(whole)).into_iter().flatten().collect();
            assert_eq!(shares.iter().sum::<u64>(), whole, "{shares:?}");
            for (share, keys) in shares.iter().zip(bundles.keys_by_resource()) {
                let exact = whole as f64 * f64::from(keys) / f64::from(bundles.keys);
                assert!((*share as f64 - exact).abs() <= 1.0, "{share} for {exact}");
            }
        }
    }

    #[test]
    fn a_resource_has_room_for_a_key_and_one_alone_has_all_the_room() {
        let bundles = made("bundles");
        assert!(capacities(&bundles, Some(2)).into_iter().flatten().all(|share| share >= 1));
        assert_eq!(capacities(&bundles, None), [None; 4]);
        assert_eq!(capacities(&made("zipf"), Some(7)), [Some(7)]);
    }
}
