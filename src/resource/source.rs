//! Asking the source: attempts under limits, each answer as soon as it is there.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
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
pub(super) struct Request<'a, K, V> {
    pub(super) keys: SmallVec<[Asked<'a, K, V>; 1]>,
    pub(super) urgency: Arc<Urgency>,
    /// The loads that wait for this one, itself included.
    pub(super) chain: Arc<Chain>,
    pub(super) deadline: Moment,
    /// Tells the waits between attempts from those of other loads.
    pub(super) salt: u64,
}

/// A key to be asked for, and its place among those of the request.
pub(super) struct Asked<'a, K, V> {
    pub(super) place: usize,
    pub(super) key: &'a K,
    pub(super) cx: LoadContext<V>,
}

/// What the source said: of one key, or of all keys of a call.
pub(super) struct Answered<T> {
    /// When the call began that brought it.
    pub(super) asked_at: Moment,
    pub(super) result: Result<T, Failure>,
}

/// Why the source said nothing.
#[derive(Clone)]
pub(super) enum Failure {
    Load(LoadError),
    Deadline,
    Panicked,
    Breaker(Duration),
}

/// Why an answer is no answer.
#[derive(Debug, thiserror::Error)]
#[error(
    "the source lags behind: it gave {}, and the key was invalidated with version {wanted}",
    given.map_or_else(|| "no version".to_owned(), |given| format!("version {given}"))
)]
struct Behind {
    wanted: u64,
    given: Option<u64>,
}

type Results<V> = SmallVec<[Result<Loaded<V>, LoadError>; 1]>;

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Asks the source, again after transient failures, and hands over each key's answer with its
    /// place in the request. Every key gets exactly one.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async function holds twice what it is given, and this one is in every flight"
    )]
    pub(super) fn ask<'a>(
        &'a self,
        mut request: Request<'a, K, V>,
        mut deliver: impl FnMut(usize, Answered<Loaded<V>>) + Send + 'a,
    ) -> impl Future<Output = ()> + Send + 'a {
        async move {
            for attempt in 0.. {
                let Answered { asked_at, result } = self.attempt(&request).await;
                let results = match result {
                    Ok(results) => results,
                    Err(failure) => {
                        let refused = || Answered { asked_at, result: Err(failure.clone()) };
                        request.keys.iter().for_each(|asked| deliver(asked.place, refused()));
                        return;
                    }
                };
                let retry_in = self.retry_in(&request, &results, attempt);
                let missing =
                    || Err(LoadError::permanent("the loader gave fewer results than keys"));
                let mut results = results.into_iter();
                request.keys.retain(|asked| match results.next().unwrap_or_else(missing) {
                    Err(error) if error.is_transient() && retry_in.is_some() => true,
                    result => {
                        let result = result.map_err(Failure::Load);
                        deliver(asked.place, Answered { asked_at, result });
                        false
                    }
                });
                let Some(retry_in) = retry_in else { return };
                task::sleep_until(self.clock.instant(self.clock.now().plus(retry_in))).await;
            }
        }
    }

    /// How long to wait for another attempt, if one is worth it and there is time for it.
    fn retry_in(
        &self,
        request: &Request<'_, K, V>,
        results: &Results<V>,
        attempt: usize,
    ) -> Option<Duration> {
        let is_transient =
            |result: &Result<_, LoadError>| result.as_ref().is_err_and(LoadError::is_transient);
        results.iter().take(request.keys.len()).find(|result| is_transient(result))?;
        let retry_in = self.source.limits.waits(request.salt).nth(attempt)?;
        (self.clock.now().plus(retry_in) < request.deadline).then_some(retry_in)
    }

    /// Asks the source once, when the limits let it.
    async fn attempt(&self, request: &Request<'_, K, V>) -> Answered<Results<V>> {
        let refused = |failure| Answered { asked_at: self.clock.recent(), result: Err(failure) };
        if let Err(retry_in) = self.source.limits.check_breaker(&request.urgency) {
            return refused(Failure::Breaker(retry_in));
        }
        let end = self.clock.instant(request.deadline);
        let admission = {
            let turn = pin!(self.source.limits.admit(&request.urgency));
            task::timeout_at(end, turn).await
        };
        let Some(_admission) = admission else { return refused(Failure::Deadline) };
        // Others may have opened it while this one waited.
        if let Err(retry_in) = self.source.limits.pass_breaker(&request.urgency) {
            return refused(Failure::Breaker(retry_in));
        }
        let asked_at = self.clock.now();
        let call = pin!(Arc::clone(&request.chain).scope(self.call(&request.keys)));
        let result = task::timeout_at(end, call).await.unwrap_or(Err(Failure::Deadline));
        self.count(&request.keys, &result, asked_at);
        let result = result.map(|results| self.refuse_lagging(&request.keys, results));
        Answered { asked_at, result }
    }

    /// Takes answers that are older than an invalidation demands for failures that may pass.
    fn refuse_lagging(&self, keys: &[Asked<'_, K, V>], mut results: Results<V>) -> Results<V> {
        for (Asked { key, cx, .. }, result) in keys.iter().zip(&mut results) {
            if !cx.prefers_primary() {
                continue;
            }
            let lagging = self.fence.lagging(key, self.fence.hash(key), self.clock.now());
            let Some(wanted) = lagging.and_then(|lagging| lagging.min_version) else { continue };
            let Ok(loaded) = result else { continue };
            let given = loaded.version;
            if given.is_none_or(|given| given < wanted) {
                *result = Err(LoadError::transient(Behind { wanted, given }));
            }
        }
        results
    }

    fn trim(&self, loaded: &mut Loaded<V>) {
        loaded.answer = match std::mem::replace(&mut loaded.answer, Answer::Absent) {
            Answer::Found(value) => Answer::Found(self.trimmed(value)),
            answer => answer,
        };
    }

    /// What is kept of a value.
    pub(super) fn trimmed(&self, value: Arc<V>) -> Arc<V> {
        match &self.trimmer {
            Some(trim) => trim(value),
            None => value,
        }
    }

    /// Calls the loader once. A panic is caught here, so that it is one failure for all who wait.
    async fn call(&self, keys: &[Asked<'_, K, V>]) -> Result<Results<V>, Failure> {
        let loader = &self.source.loader;
        let call = async {
            let mut results: Results<V> = match keys {
                [Asked { key, cx, .. }] => smallvec![loader.load(key, cx).await],
                keys => {
                    let owned = |asked: &Asked<'_, K, V>| (asked.key.clone(), asked.cx.again());
                    let keys: Vec<_> = keys.iter().map(owned).collect();
                    loader.load_many(&keys).await.into()
                }
            };
            if self.trimmer.is_some() {
                results.iter_mut().flatten().for_each(|loaded| self.trim(loaded));
            }
            results
        };
        // The panic hook has said what there is to say.
        AssertUnwindSafe(call).catch_unwind().await.map_err(|_panic| Failure::Panicked)
    }

    /// Counts what a call came to, and lets the breaker know.
    fn count(
        &self,
        keys: &[Asked<'_, K, V>],
        call: &Result<Results<V>, Failure>,
        asked_at: Moment,
    ) {
        let outcome = |result: Option<&Result<Loaded<V>, LoadError>>| match result {
            Some(Ok(loaded)) => match loaded.answer {
                Answer::Found(_) => LoadOutcome::Found,
                Answer::Absent => LoadOutcome::Absent,
                Answer::Unchanged => LoadOutcome::Unchanged,
            },
            Some(Err(_)) | None => LoadOutcome::Failed,
        };
        let took = self.clock.now().since(asked_at);
        for (place, Asked { cx, .. }) in keys.iter().enumerate() {
            let outcome = match call {
                Ok(results) => outcome(results.get(place)),
                Err(Failure::Panicked) => LoadOutcome::Panicked,
                Err(_) => LoadOutcome::Deadline,
            };
            self.tally.loads.one(Load(cx.origin(), outcome));
        }
        if let Some(Asked { cx, .. }) = keys.first() {
            self.tally.timings.record(cx.origin(), took);
        }
        // A source that answers "this cannot be" is there; so is one that answers at all.
        let is_there = |result: &Result<Loaded<V>, LoadError>| {
            result.as_ref().map_or_else(|error| !error.is_transient(), |_| true)
        };
        match call {
            Ok(results) if results.iter().any(is_there) => {
                self.source.load_time.record(took);
                self.source.limits.answered();
            }
            Ok(_) | Err(_) => self.source.limits.failed(),
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
