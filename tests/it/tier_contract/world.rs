//! A store in use, with short words for what the cases do with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use forewarm::{Ask, Begun, Cursor, Fill, Filled, Node, Permit, Selector, Stored, Tier, Want};
use parking_lot::Mutex;

use super::Bed;
use super::reader::caught_up;

/// The engine in whose name the cases change things.
pub(crate) const NODE: Node = Node(7);
/// Another engine over the same store.
pub(crate) const OTHER: Node = Node(8);

/// A store in use.
pub(crate) struct World<B: Bed> {
    pub(crate) bed: B,
    pub(crate) tier: Arc<B::Tier>,
    since: Mutex<Cursor>,
}

impl<B: Bed> World<B> {
    pub(super) async fn new(bed: B) -> Self {
        let tier = Arc::new(bed.open().await);
        Self { bed, tier, since: Mutex::default() }
    }

    /// The cursor of one who has heard of everything that has happened so far.
    pub(super) async fn caught_up(&self) -> Cursor {
        let since = self.since.lock().clone();
        let since = caught_up(&*self.tier, since).await;
        self.since.lock().clone_from(&since);
        since
    }

    /// Lets this many units pass.
    pub(super) async fn pass(&self, units: u32) {
        self.bed.pass(B::UNIT * units).await;
    }

    /// Another user of the same store, while this one goes on.
    pub(super) async fn neighbour(&self) -> Arc<B::Tier> {
        Arc::new(self.bed.open().await)
    }

    /// Ends the use of the store, and begins a new one.
    pub(super) async fn restart(&mut self) {
        self.tier.close().await;
        self.tier = Arc::new(self.bed.open().await);
    }

    /// Asks for a key, in the name of a new load.
    pub(super) async fn ask(&self, key: &str) -> Begun {
        self.begin(&[wanting(key)]).await.remove(0)
    }

    /// Asks with a permit that lasts 5 units.
    pub(super) async fn begin(&self, asks: &[Ask<'_>]) -> Vec<Begun> {
        let begun = self.tier.begin(asks, B::UNIT * 5).await.unwrap();
        assert_eq!(begun.len(), asks.len());
        begun
    }

    /// Begins a load of a key that is not there.
    pub(super) async fn loading(&self, key: &str) -> Permit {
        let ask = wanting(key);
        assert_eq!(self.begin(&[ask]).await, [Begun::Permit], "{key:?}");
        ask.permit
    }

    /// Begins a load of a key whether or not it is there.
    pub(super) async fn renewing(&self, key: &str) -> Permit {
        let ask = renewing(key);
        assert_eq!(self.begin(&[ask]).await, [Begun::Permit], "{key:?}");
        ask.permit
    }

    pub(super) async fn fill(&self, key: &str, permit: Permit, value: &[u8]) -> Filled {
        self.fill_all(&[fill::<B>(key, permit, value)]).await.remove(0)
    }

    pub(super) async fn fill_all(&self, fills: &[Fill<'_>]) -> Vec<Filled> {
        let filled = self.tier.fill(fills).await.unwrap();
        assert_eq!(filled.len(), fills.len());
        filled
    }

    /// Loads a key that is not there.
    pub(super) async fn load(&self, key: &str, value: &[u8]) {
        let permit = self.loading(key).await;
        assert_eq!(self.fill(key, permit, value).await, Filled::Stored, "{key:?}");
    }

    /// Loads a key that is not there, and brings a value with these tags.
    pub(super) async fn load_tagged(&self, key: &str, tags: &[&str]) {
        let permit = self.loading(key).await;
        assert_eq!(self.fill_tagged(key, permit, tags).await, Filled::Stored, "{key:?} {tags:?}");
    }

    /// Fills a key, with itself as the value.
    pub(super) async fn fill_tagged(&self, key: &str, permit: Permit, tags: &[&str]) -> Filled {
        let fill = Fill { tags, ..fill::<B>(key, permit, key.as_bytes()) };
        self.fill_all(&[fill]).await.remove(0)
    }

    pub(super) async fn put(&self, key: &str, value: &[u8]) {
        self.put_all(&[fill::<B>(key, Permit(0), value)]).await;
    }

    /// Puts values, in the name of one who has heard of everything that happened before.
    pub(super) async fn put_all(&self, puts: &[Fill<'_>]) {
        let since = self.caught_up().await;
        let filled = self.tier.put(NODE, puts, &since).await.unwrap();
        assert_eq!(filled, vec![Filled::Stored; puts.len()]);
    }

    pub(super) async fn invalidate(&self, key: &str) {
        self.select(Selector::Key(key)).await;
    }

    pub(super) async fn invalidate_resource(&self, resource: &str) {
        self.select(Selector::Resource(resource)).await;
    }

    pub(super) async fn invalidate_tag(&self, resource: &str, tag: &str) {
        self.select(Selector::Tag { resource, tag }).await;
    }

    pub(super) async fn invalidate_pattern(&self, resource: &str, pattern: &str) {
        self.select(Selector::Pattern { resource, pattern }).await;
    }

    /// Invalidates what one selector names.
    pub(super) async fn select(&self, selector: Selector<'_>) {
        self.select_all(&[selector]).await;
    }

    /// Invalidates what several selectors name, in one step.
    pub(super) async fn select_all(&self, selectors: &[Selector<'_>]) {
        let invalidations: Vec<_> = selectors.iter().copied().map(Into::into).collect();
        self.tier.invalidate(NODE, &invalidations).await.unwrap();
    }

    /// What is stored for a key that must be there.
    pub(super) async fn stored(&self, key: &str) -> Stored {
        match self.ask(key).await {
            Begun::Hit(stored) => stored,
            other => panic!("{key:?} should be there: {other:?}"),
        }
    }

    /// The value of a key that must be there.
    pub(super) async fn value(&self, key: &str) -> Vec<u8> {
        self.stored(key).await.value
    }

    /// Which of these keys are there; none of them is begun to be loaded.
    pub(super) async fn which(&self, keys: &[String]) -> Vec<bool> {
        let asks: Vec<_> = keys.iter().map(|key| copying(key)).collect();
        let begun = self.begin(&asks).await;
        begun.iter().map(|begun| matches!(begun, Begun::Hit(_))).collect()
    }

    /// The key must not be there, and not be in the course of being loaded.
    pub(super) async fn is_missing(&self, key: &str) {
        assert_eq!(self.ask(key).await, Begun::Permit, "{key:?} should be missing");
    }
}

/// An ask for a value, in the name of a new load.
pub(super) fn wanting(key: &str) -> Ask<'_> {
    Ask { key, permit: permit(), want: Want::Value }
}

/// An ask for a permit, in the name of a new load.
pub(super) fn renewing(key: &str) -> Ask<'_> {
    Ask { key, permit: permit(), want: Want::Permit }
}

/// An ask for a value that is fresh, in the name of a new load.
pub(super) fn freshening(key: &str) -> Ask<'_> {
    Ask { key, permit: permit(), want: Want::Fresh }
}

/// An ask for a value that is fresh, without a load if it is not there.
pub(super) fn copying(key: &str) -> Ask<'_> {
    Ask { key, permit: permit(), want: Want::Copy }
}

/// A value that is fresh for 10 units from now, and kept for 20.
pub(super) fn fill<'a, B: Bed>(key: &'a str, permit: Permit, value: &'a [u8]) -> Fill<'a> {
    let (fresh_for, keep_for) = (B::UNIT * 10, B::UNIT * 20);
    let age = Duration::ZERO;
    Fill { key, permit, value, age, fresh_for, keep_for, tags: &[], version: None }
}

/// A permit that no other load has; they lie all over the range of 64 bits.
fn permit() -> Permit {
    static PERMITS: AtomicU64 = AtomicU64::new(1);
    Permit(PERMITS.fetch_add(1, Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Whether `span` is `units` long, give or take what passes while a case runs.
pub(super) fn is_about<B: Bed>(span: Duration, units: u32) -> bool {
    let expected = B::UNIT * units;
    span.abs_diff(expected) < B::UNIT
}
