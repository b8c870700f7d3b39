//! Chance that can be repeated.

/// Numbers that a seed decides: splitmix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom
/// Number Generators", OOPSLA 2014).
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn of(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below another, which is not zero.
    pub(crate) fn below(&mut self, end: u8) -> u8 {
        // The remainder is less than 256, and as good as even for ends so small.
        u8::try_from(self.next() % u64::from(end)).unwrap_or_default()
    }

    /// Takes one of several away; `None` if there are none.
    pub(crate) fn take<T>(&mut self, from: &mut Vec<T>) -> Option<T> {
        let count = u8::try_from(from.len()).ok().filter(|count| *count > 0)?;
        Some(from.swap_remove(usize::from(self.below(count))))
    }
}
