//! Keys that have been read once, and so have no rate.

/// How probable it is that a key that was read once is read again within one more ttl.
///
/// Learned from what happened: of the entries that came due after a single read, the share whose
/// second read came in time, whether or not they were renewed. So it costs no load to learn.
#[derive(Debug)]
pub(crate) struct OnceRead {
    due: f64,
    returned: f64,
}

/// Before anything is known, four entries came due and one in ten returned.
const PRIOR_WEIGHT: f64 = 4.0;
const PRIOR: f64 = 0.1;
/// After this many entries the past is halved, so that it can change.
const MEMORY: f64 = 2_000.0;

impl OnceRead {
    pub(crate) const fn new() -> Self {
        Self { due: 0.0, returned: 0.0 }
    }

    /// An entry came due whose key had been read once.
    pub(crate) fn came_due(&mut self) {
        self.due += 1.0;
        if self.due > MEMORY {
            self.due /= 2.0;
            self.returned /= 2.0;
        }
    }

    /// One of those was read again in time.
    pub(crate) fn returned(&mut self) {
        self.returned = (self.returned + 1.0).min(self.due);
    }

    /// The probability that the next one will be.
    pub(crate) fn probability(&self) -> f64 {
        (self.returned + PRIOR * PRIOR_WEIGHT) / (self.due + PRIOR_WEIGHT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_returns_is_learned() {
        let mut once_read = OnceRead::new();
        assert!((once_read.probability() - 0.1).abs() < 1e-9);
        for nth in 0..10_000 {
            once_read.came_due();
            if nth % 4 != 0 {
                once_read.returned();
            }
        }
        let learned = once_read.probability();
        assert!((learned - 0.75).abs() < 0.01, "{learned}");
    }
}
