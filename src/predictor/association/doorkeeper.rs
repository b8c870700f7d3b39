//! Which keys have been seen before.

/// Remembers keys that were seen once, in bounded memory: a table of fingerprints, in which a newer
/// key takes the place of an older one.
///
/// It is used only when there is no room for everybody, and takes memory only then. A key that was
/// not seen is taken for one that was once in 65,535 times.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    /// Zero is an empty slot.
    fingerprints: Vec<u16>,
    slots: usize,
}

impl Doorkeeper {
    /// Remembers about twice as many keys as there are nodes.
    pub(super) const fn new(nodes: usize) -> Self {
        Self { fingerprints: Vec::new(), slots: (2 * nodes).next_power_of_two() }
    }

    /// Whether a key was seen lately; if not, it is from now on.
    pub(super) fn has_seen(&mut self, hash: u64) -> bool {
        if self.fingerprints.is_empty() {
            self.fingerprints = vec![0; self.slots];
        }
        let place = usize::try_from(hash >> 20).unwrap_or(usize::MAX) & (self.slots - 1);
        let [.., first, second] = hash.to_le_bytes();
        let fingerprint = u16::from_le_bytes([first, second]) | 1;
        let Some(slot) = self.fingerprints.get_mut(place) else { return false };
        std::mem::replace(slot, fingerprint) == fingerprint
    }

    pub(super) fn clear(&mut self) {
        self.fingerprints = Vec::new();
    }
}
