//! A number of slots, given to the most urgent first.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Lent, Urgency};
use crate::entry::Origin;
use crate::sync::Mutex;

/// A number of slots. Those who wait get them by class, and within a class in the order in which
/// they came; preloads never hold more than their share.
#[derive(Debug)]
pub(crate) struct Slots(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    /// What preloads may still take.
    free_for_preloads: usize,
    waiting: [VecDeque<oneshot::Sender<Slot>>; 3],
}

/// How urgent a load is; less is more urgent.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Class {
    Demand,
    Refresh,
    Preload,
}

/// The right to call the source. Dropping it passes it on.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Option<Arc<Slots>>,
    class: Class,
}

impl From<Origin> for Class {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Demand => Self::Demand,
            Origin::Refresh => Self::Refresh,
            Origin::Preload => Self::Preload,
        }
    }
}

impl Slots {
    /// This many slots, of which preloads may hold `for_preloads` at a time.
    pub(crate) fn new(count: usize, for_preloads: usize) -> Arc<Self> {
        let waiting = [VecDeque::new(), VecDeque::new(), VecDeque::new()];
        let free_for_preloads = for_preloads.clamp(1, count.max(1));
        Arc::new(Self(Mutex::new(State { free: count, free_for_preloads, waiting })))
    }

    /// Whether a load of this class would get a slot at once.
    pub(crate) fn has_room(&self, class: Class) -> bool {
        self.0.lock().may_take(class)
    }

    /// Waits for a slot; gives none if one is lent. While it waits, the load may become more
    /// urgent, or be lent a slot.
    pub(crate) async fn enter(self: &Arc<Self>, urgency: &Urgency, lent: Lent) -> Option<Slot> {
        if urgency.is_lent(lent) {
            return None;
        }
        // Nearly always there is room, and nothing to wait for. Boxed, so that a flight stays small.
        match self.take(urgency.class()) {
            Some(slot) => Some(slot),
            None => Box::pin(self.queue(urgency, lent)).await,
        }
    }

    /// Waits in the queue, until there is a slot, or one is lent.
    async fn queue(self: &Arc<Self>, urgency: &Urgency, lent: Lent) -> Option<Slot> {
        loop {
            let mut changed = std::pin::pin!(urgency.changed());
            // From here on no change is missed, even one that comes before the wait.
            changed.as_mut().enable();
            if urgency.is_lent(lent) {
                return None;
            }
            let turn = match self.take_or_queue(urgency.class()) {
                Ok(slot) => return Some(slot),
                Err(turn) => turn,
            };
            tokio::select! {
                biased;
                // The sender lives in the queue as long as the slots do.
                slot = turn => return slot.ok(),
                () = changed => {}
            }
        }
    }

    fn take(self: &Arc<Self>, class: Class) -> Option<Slot> {
        let mut state = self.0.lock();
        state.may_take(class).then(|| {
            state.take(class);
            Slot { slots: Some(Arc::clone(self)), class }
        })
    }

    fn take_or_queue(self: &Arc<Self>, class: Class) -> Result<Slot, oneshot::Receiver<Slot>> {
        let mut state = self.0.lock();
        if state.may_take(class) {
            state.take(class);
            return Ok(Slot { slots: Some(Arc::clone(self)), class });
        }
        let (turn, receiver) = oneshot::channel();
        if let Some(queue) = state.waiting.get_mut(class as usize) {
            queue.push_back(turn);
        }
        Err(receiver)
    }

    /// Takes a slot back and gives what is free to those who wait.
    fn give_back(self: &Arc<Self>, class: Class) {
        let mut next = {
            let mut state = self.0.lock();
            state.put_back(class);
            state.next()
        };
        // The slot is handed over outside the lock: one that nobody takes comes back here.
        while let Some((turn, class)) = next {
            let slot = Slot { slots: Some(Arc::clone(self)), class };
            let Err(mut refused) = turn.send(slot) else { break };
            refused.slots = None;
            let mut state = self.0.lock();
            state.put_back(class);
            next = state.next();
        }
    }
}

impl State {
    /// Whether a newcomer of this class may take a slot: one is free, and nobody before it waits.
    fn may_take(&self, class: Class) -> bool {
        let nobody_waits = self.waiting.iter().take(class as usize + 1).all(VecDeque::is_empty);
        self.free > 0 && nobody_waits && (class != Class::Preload || self.free_for_preloads > 0)
    }

    fn take(&mut self, class: Class) {
        self.free -= 1;
        if class == Class::Preload {
            self.free_for_preloads -= 1;
        }
    }

    fn put_back(&mut self, class: Class) {
        self.free += 1;
        if class == Class::Preload {
            self.free_for_preloads += 1;
        }
    }

    /// Takes a slot for the most urgent of those who wait.
    fn next(&mut self) -> Option<(oneshot::Sender<Slot>, Class)> {
        if self.free == 0 {
            return None;
        }
        for class in [Class::Demand, Class::Refresh, Class::Preload] {
            if class == Class::Preload && self.free_for_preloads == 0 {
                return None;
            }
            if let Some(turn) = self.waiting.get_mut(class as usize)?.pop_front() {
                self.take(class);
                return Some((turn, class));
            }
        }
        None
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slots) = self.slots.take() {
            slots.give_back(self.class);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn urgent(class: Class) -> Urgency {
        Urgency::new(class)
    }

    #[tokio::test]
    async fn the_most_urgent_goes_first() {
        let slots = Slots::new(1, 1);
        let first = slots.enter(&urgent(Class::Demand), Lent::Source).await;
        let (preload, refresh, demand) =
            (urgent(Class::Preload), urgent(Class::Refresh), urgent(Class::Demand));
        let mut preload = Box::pin(slots.enter(&preload, Lent::Source));
        let mut refresh = Box::pin(slots.enter(&refresh, Lent::Source));
        let mut demand = Box::pin(slots.enter(&demand, Lent::Source));
        for waiting in [&mut preload, &mut refresh, &mut demand] {
            assert!(waiting.now_or_never().is_none());
        }
        drop(first);
        assert!((&mut preload).now_or_never().is_none());
        assert!((&mut refresh).now_or_never().is_none());
        let second = (&mut demand).now_or_never().flatten();
        assert!(second.is_some());
        drop(second);
        assert!((&mut preload).now_or_never().is_none());
        let third = (&mut refresh).now_or_never().flatten();
        assert!(third.is_some());
        drop(third);
        assert!((&mut preload).now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn preloads_leave_room_for_others() {
        let slots = Slots::new(4, 2);
        let preload = urgent(Class::Preload);
        let _first = slots.enter(&preload, Lent::Source).await;
        let second = slots.enter(&preload, Lent::Source).await;
        let mut third = Box::pin(slots.enter(&preload, Lent::Source));
        assert!((&mut third).now_or_never().is_none());
        assert!(!slots.has_room(Class::Preload) && slots.has_room(Class::Demand));
        drop(second);
        assert!((&mut third).now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn a_turn_that_nobody_waits_for_any_more_is_passed_on() {
        let slots = Slots::new(1, 1);
        let held = slots.enter(&urgent(Class::Demand), Lent::Source).await;
        let demand = urgent(Class::Demand);
        let mut gone = Box::pin(slots.enter(&demand, Lent::Source));
        assert!((&mut gone).now_or_never().is_none());
        let mut waiting = Box::pin(slots.enter(&demand, Lent::Source));
        assert!((&mut waiting).now_or_never().is_none());
        drop(gone);
        drop(held);
        assert!((&mut waiting).now_or_never().flatten().is_some());
        drop(waiting);
        assert!(slots.has_room(Class::Preload));
    }

    #[tokio::test]
    async fn a_turn_dropped_after_it_was_given_is_given_back() {
        let slots = Slots::new(1, 1);
        let held = slots.enter(&urgent(Class::Demand), Lent::Source).await;
        let demand = urgent(Class::Demand);
        let mut waiting = Box::pin(slots.enter(&demand, Lent::Source));
        assert!((&mut waiting).now_or_never().is_none());
        drop(held);
        drop(waiting);
        assert!(slots.has_room(Class::Demand));
    }

    #[tokio::test]
    async fn a_load_that_becomes_urgent_overtakes() {
        let slots = Slots::new(1, 1);
        let held = slots.enter(&urgent(Class::Demand), Lent::Source).await;
        let (preload, refresh) = (urgent(Class::Preload), urgent(Class::Refresh));
        let mut asked_for = Box::pin(slots.enter(&preload, Lent::Source));
        let mut waiting = Box::pin(slots.enter(&refresh, Lent::Source));
        assert!((&mut asked_for).now_or_never().is_none());
        assert!((&mut waiting).now_or_never().is_none());
        preload.raise(Class::Demand);
        assert!((&mut asked_for).now_or_never().is_none());
        drop(held);
        assert!((&mut waiting).now_or_never().is_none());
        assert!((&mut asked_for).now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn a_lent_slot_ends_the_wait() {
        let slots = Slots::new(1, 1);
        let _held = slots.enter(&urgent(Class::Demand), Lent::Source).await;
        let nested = urgent(Class::Demand);
        let mut waiting = Box::pin(slots.enter(&nested, Lent::Source));
        assert!((&mut waiting).now_or_never().is_none());
        nested.lend(Lent::Engine);
        assert!((&mut waiting).now_or_never().is_none());
        nested.lend(Lent::Source);
        assert!(matches!((&mut waiting).now_or_never(), Some(None)));
    }
}
