//! A hard bound on how many keys are loaded ahead.

use std::time::Duration;

use crate::clock::Moment;

/// A token bucket: `rate` tokens a second flow in, at most `burst` are kept, each key takes one.
#[derive(Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    rate: f64,
    burst: f64,
    filled_at: Moment,
}

impl Bucket {
    /// A full bucket.
    #[expect(clippy::cast_precision_loss, reason = "a burst is a small number")]
    pub(crate) const fn new(rate: f64, burst: usize) -> Self {
        Self { tokens: burst as f64, rate, burst: burst as f64, filled_at: Moment::START }
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Moment) -> bool {
        self.take_many(1, now).is_ok()
    }

    /// Takes so many tokens, but no more than are ever kept.
    ///
    /// # Errors
    ///
    /// There are not as many; gives when there will be.
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    pub(crate) fn take_many(&mut self, count: usize, now: Moment) -> Result<(), Moment> {
        let wanted = (count as f64).min(self.burst);
        self.flow(now);
        if self.tokens < wanted {
            return Err(self.full_to(wanted, now));
        }
        self.tokens -= wanted;
        Ok(())
    }

    /// Takes in what has flowed in until `now`.
    fn flow(&mut self, now: Moment) {
        let passed = now.since(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.burst);
        self.filled_at = self.filled_at.max(now);
    }

    /// Changes what flows in and what is kept, from `now` on.
    #[expect(clippy::cast_precision_loss, reason = "a burst is a small number")]
    pub(crate) fn tune(&mut self, rate: f64, burst: usize, now: Moment) {
        // What has flowed in until now did so at the old rate.
        self.flow(now);
        (self.rate, self.burst) = (rate, burst as f64);
        self.tokens = self.tokens.min(self.burst);
    }

    /// Gives a token back that was not used.
    pub(crate) fn give_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(self.burst);
    }

    /// When the next token will be there.
    pub(crate) fn next_at(&self, now: Moment) -> Moment {
        self.full_to(1.0, now)
    }

    fn full_to(&self, wanted: f64, now: Moment) -> Moment {
        let missing = (wanted - self.tokens).max(0.0);
        let wait = Duration::try_from_secs_f64(missing / self.rate);
        // A microsecond more, since moments are whole microseconds.
        wait.map_or(Moment::NEVER, |wait| now.plus(wait).plus(Duration::from_micros(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_the_burst_and_the_rate_allow() {
        let mut bucket = Bucket::new(10.0, 5);
        let mut taken = 0;
        for millis in 0..10_000 {
            let now = Moment::START.plus(Duration::from_millis(millis));
            while bucket.take(now) {
                taken += 1;
            }
        }
        assert_eq!(taken, 5 + 99);
    }

    #[test]
    fn another_rate_holds_from_now_on() {
        let mut bucket = Bucket::new(1.0, 100);
        let at = |seconds| Moment::START.plus(Duration::from_secs(seconds));
        assert!(bucket.take_many(100, at(0)).is_ok());
        bucket.tune(10.0, 15, at(3));
        let mut taken =
            |now| std::iter::repeat_with(|| bucket.take(now)).take_while(|it| *it).count();
        assert_eq!((taken(at(3)), taken(at(4)), taken(at(9))), (3, 10, 15));
    }

    #[test]
    fn the_next_token_is_there_when_it_says() {
        let mut bucket = Bucket::new(3.0, 1);
        assert!(bucket.take(Moment::START) && !bucket.take(Moment::START));
        let next = bucket.next_at(Moment::START);
        assert!(bucket.take(next));
    }
}
