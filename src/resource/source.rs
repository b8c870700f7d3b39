//! Asking the source: attempts under limits, each answer as soon as it is there.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use smallvec::{SmallVec, smallvec};

use super::core::Core;
use crate::clock::Moment;
use crate::error::{Error, LoadError};
use crate::flight::Chain;
use crate::key::Key;
use crate::limits::Urgency;
use crate::loader::{Answer, LoadContext, Loaded};
use crate::metrics::{Load, LoadOutcome};
use crate::task;

/// Keys to be asked of the source in one call.
pub(super) struct Request<K, V> {
    pub(super) keys: SmallVec<[(K, LoadContext<V>); 1]>,
    pub(super) urgency: Arc<Urgency>,
    /// The loads that wait for this one, itself included.
    pub(super) chain: Arc<Chain>,
    pub(super) deadline: Moment,
    /// Tells the waits between attempts from those of other loads.
    pub(super) salt: u64,
}

/// What the source said of one key.
pub(super) struct Answered<V> {
    /// When the call began that brought it.
    pub(super) asked_at: Moment,
    pub(super) result: Result<Loaded<V>, Failure>,
}

/// Why the source said nothing.
#[derive(Clone)]
pub(super) enum Failure {
    Load(LoadError),
    Deadline,
    Panicked,
    Breaker(Duration),
}

/// What one call came to.
enum Call<V> {
    Answered(SmallVec<[Result<Loaded<V>, LoadError>; 1]>),
    Panicked,
    Late,
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Asks the source, again after transient failures, and hands over each key's answer with its
    /// place in the request. Every key gets exactly one.
    pub(super) async fn ask(
        &self,
        request: Request<K, V>,
        mut deliver: impl FnMut(usize, Answered<V>) + Send,
    ) {
        let Request { mut keys, urgency, chain, deadline, salt } = request;
        let mut places: SmallVec<[usize; 1]> = (0..keys.len()).collect();
        let mut waits = self.source.limits.backoff(salt);
        loop {
            let asked_at = self.clock.recent();
            let mut fail_all = |places: &[usize], failure: Failure| {
                for place in places {
                    deliver(*place, Answered { asked_at, result: Err(failure.clone()) });
                }
            };
            if let Err(retry_in) = self.source.limits.check_breaker() {
                return fail_all(&places, Failure::Breaker(retry_in));
            }
            let end = self.clock.instant(deadline);
            let admission = task::timeout_at(end, self.source.limits.admit(&urgency)).await;
            let Some(admission) = admission else { return fail_all(&places, Failure::Deadline) };
            let asked_at = self.clock.now();
            let call = Arc::clone(&chain).scope(self.call(&keys));
            let call = task::timeout_at(end, call).await.unwrap_or(Call::Late);
            drop(admission);
            self.count(&keys, &call, asked_at);
            let results = match call {
                Call::Answered(results) => results,
                Call::Panicked => return fail_all(&places, Failure::Panicked),
                Call::Late => return fail_all(&places, Failure::Deadline),
            };
            let retry_in = waits.next().filter(|wait| asked_at.plus(*wait) < deadline);
            let missing = || Err(LoadError::permanent("the loader gave fewer results than keys"));
            let results = results.into_iter().chain(std::iter::repeat_with(missing));
            let (mut kept, mut kept_places) = (SmallVec::new(), SmallVec::new());
            for ((place, key), result) in places.into_iter().zip(keys).zip(results) {
                match result {
                    Err(error) if error.is_transient() && retry_in.is_some() => {
                        kept.push(key);
                        kept_places.push(place);
                    }
                    result => {
                        let result = result.map_err(Failure::Load);
                        deliver(place, Answered { asked_at, result });
                    }
                }
            }
            let Some(retry_in) = retry_in.filter(|_| !kept.is_empty()) else { return };
            (keys, places) = (kept, kept_places);
            task::sleep_until(self.clock.instant(self.clock.now().plus(retry_in))).await;
        }
    }

    /// Calls the loader once. A panic is caught here, so that it is one failure for all who wait.
    async fn call(&self, keys: &[(K, LoadContext<V>)]) -> Call<V> {
        let loader = &self.source.loader;
        let call = async {
            match keys {
                [(key, cx)] => smallvec![loader.load(key, cx).await],
                keys => loader.load_many(keys).await.into(),
            }
        };
        match AssertUnwindSafe(call).catch_unwind().await {
            Ok(results) => Call::Answered(results),
            // The panic hook has said what there is to say.
            Err(_) => Call::Panicked,
        }
    }

    /// Counts what a call came to, and lets the breaker know.
    fn count(&self, keys: &[(K, LoadContext<V>)], call: &Call<V>, asked_at: Moment) {
        let outcome = |result: Option<&Result<Loaded<V>, LoadError>>| match result {
            Some(Ok(loaded)) => match loaded.answer {
                Answer::Found(_) => LoadOutcome::Found,
                Answer::Absent => LoadOutcome::Absent,
                Answer::Unchanged => LoadOutcome::Unchanged,
            },
            Some(Err(_)) | None => LoadOutcome::Failed,
        };
        let took = self.clock.now().since(asked_at);
        for (place, (_, cx)) in keys.iter().enumerate() {
            let outcome = match call {
                Call::Answered(results) => outcome(results.get(place)),
                Call::Panicked => LoadOutcome::Panicked,
                Call::Late => LoadOutcome::Deadline,
            };
            self.tally.loads.one(Load(cx.origin(), outcome));
        }
        if let Some((_, cx)) = keys.first() {
            self.tally.timings.record(cx.origin(), took);
        }
        // A source that answers "this cannot be" is there; so is one that answers at all.
        let is_there = |result: &Result<Loaded<V>, LoadError>| {
            result.as_ref().map_or_else(|error| !error.is_transient(), |_| true)
        };
        match call {
            Call::Answered(results) if results.iter().any(is_there) => {
                self.source.load_time.record(took);
                self.source.limits.answered();
            }
            Call::Answered(_) | Call::Panicked | Call::Late => self.source.limits.failed(),
        }
    }

    /// The error that callers get for a failure.
    pub(super) fn error(&self, key: &K, hash: u64, failure: Failure) -> Error {
        let (resource, label) = (Arc::clone(&self.name), self.label(key, hash));
        match failure {
            Failure::Load(source) => Error::Load { resource, key: label, source },
            Failure::Deadline => {
                Error::Deadline { resource, key: label, deadline: self.policy.source.deadline }
            }
            Failure::Panicked => Error::Panicked { resource, key: label },
            Failure::Breaker(retry_in) => Error::BreakerOpen { resource, retry_in },
        }
    }
}
