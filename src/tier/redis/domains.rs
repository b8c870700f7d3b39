//! The parts of the store: each key lies in one of them.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::join_all;
use xxhash_rust::xxh3::xxh3_64;

use super::fault::Fault;
use super::link::{Link, Shared};
use super::names::Names;

/// The parts of the store, each with a life and a log of its own; one, but for a cluster.
#[derive(Debug)]
pub(super) struct Domains(Vec<Arc<Link>>);

impl Domains {
    pub(super) fn new(count: usize, shared: &Arc<Shared>) -> Self {
        let link = |nth| {
            let names = Names::new(&shared.namespace, nth);
            Arc::new(Link::new(names, Arc::clone(shared)))
        };
        Self((0..count).map(link).collect())
    }

    pub(super) fn links(&self) -> &[Arc<Link>] {
        &self.0
    }

    /// The part that a text lies in, wherever and whenever it is asked.
    pub(super) fn place(&self, text: &str) -> usize {
        let count = u64::try_from(self.0.len()).unwrap_or(1).max(1);
        usize::try_from(xxh3_64(text.as_bytes()) % count).unwrap_or_default()
    }

    pub(super) fn link(&self, text: &str) -> Result<&Arc<Link>, Fault> {
        self.0.get(self.place(text)).ok_or(Fault::Closed)
    }

    /// Asks all parts at once.
    pub(super) async fn each<A, F>(&self, ask: impl Fn(usize, Arc<Link>) -> F) -> Vec<A>
    where
        F: Future<Output = A>,
    {
        join_all(self.0.iter().cloned().enumerate().map(|(nth, link)| ask(nth, link))).await
    }

    /// Asks, all at once, each part for the items that lie in it; gives an answer for each item, in
    /// their order.
    pub(super) async fn spread<T, A, F>(
        &self,
        items: &[T],
        key: impl Fn(&T) -> &str,
        ask: impl Fn(usize, Arc<Link>, Vec<T>) -> F,
    ) -> Vec<Result<A, Fault>>
    where
        T: Copy,
        F: Future<Output = Result<Vec<A>, Fault>>,
    {
        let mut parts: Vec<(Vec<usize>, Vec<T>)> =
            self.0.iter().map(|_| Default::default()).collect();
        for (place, item) in items.iter().enumerate() {
            if let Some((places, part)) = parts.get_mut(self.place(key(item))) {
                places.push(place);
                part.push(*item);
            }
        }
        let parts = parts.into_iter().zip(&self.0).enumerate();
        let asked = parts.filter(|(_, ((places, _), _))| !places.is_empty());
        let asked = asked.map(|(nth, ((places, part), link))| {
            let answer = ask(nth, Arc::clone(link), part);
            async { (places, answer.await) }
        });
        let mut answers: Vec<_> = items.iter().map(|_| Err(Fault::Unreadable)).collect();
        for (places, part) in join_all(asked).await {
            let mut part = part.map(Vec::into_iter);
            for place in places {
                let answer = match &mut part {
                    Ok(part) => part.next().ok_or(Fault::Unreadable),
                    Err(fault) => Err(fault.clone()),
                };
                if let Some(open) = answers.get_mut(place) {
                    *open = answer;
                }
            }
        }
        answers
    }
}
