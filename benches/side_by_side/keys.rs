//! The keys that are read, and in which order.

/// This many keys of 21 bytes.
pub(crate) fn names(keys: usize) -> Vec<String> {
    (0..keys).map(|nth| format!("user:profile:{nth:08}")).collect()
}

/// Reads whose ranks are distributed as in Zipf's law with exponent 0.99.
pub(crate) fn zipf(keys: usize, count: usize, seed: u64) -> Vec<u32> {
    let mut sums = Vec::with_capacity(keys);
    let mut sum = 0.0;
    for rank in 1..=keys {
        sum += (rank as f64).powf(-0.99);
        sums.push(sum);
    }
    // Neighbours in rank are not neighbours in memory, and all streams mean the same keys.
    let mut places: Vec<u32> = (0..u32::try_from(keys).unwrap()).collect();
    fastrand::Rng::with_seed(7).shuffle(&mut places);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut draw = || places[sums.partition_point(|upto| *upto < random.f64() * sum).min(keys - 1)];
    (0..count).map(|_| draw()).collect()
}

/// Reads each of which may be of any key.
pub(crate) fn uniform(keys: usize, count: usize, seed: u64) -> Vec<u32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let keys = u32::try_from(keys).unwrap();
    (0..count).map(|_| random.u32(..keys)).collect()
}
