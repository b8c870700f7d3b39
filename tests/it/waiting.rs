//! Waiting for what comes to pass by itself, and not forever.

use std::time::Duration;

/// The longest that anything takes that a test waits for, on a machine that is busy.
pub(crate) const IN_TIME: Duration = Duration::from_mins(1);
/// The time between two looks at it.
const TICK: Duration = Duration::from_millis(5);

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    until_some(what, async || is_so().await.then_some(())).await;
}

/// Waits until there is something.
pub(crate) async fn until_some<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            if let Some(found) = look().await {
                return found;
            }
            ticks.tick().await;
        }
    };
    let waited = tokio::time::timeout(IN_TIME, waiting).await;
    waited.unwrap_or_else(|_late| panic!("not in time: {what}"))
}
