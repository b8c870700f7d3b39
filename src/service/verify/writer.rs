//! One who changes the source, and tells the cache.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::counters::value_of;
use super::history::{Changed, Event, How, now};
use super::loads::{TAGS, tag_of};
use super::node::Work;
use super::pace::Pace;
use crate::resource::{Delivery, InvalidateOptions};

/// A task that changes things.
#[derive(Debug)]
pub(super) struct Writer {
    work: Arc<Work>,
    random: fastrand::Rng,
}

/// What a change is about, and what the source has of it before it begins.
type Marks = Vec<(u32, u64)>;

impl Writer {
    pub(super) fn new(work: Arc<Work>, random: fastrand::Rng) -> Self {
        Self { work, random }
    }

    pub(super) async fn run(mut self) {
        let work = Arc::clone(&self.work);
        match &work.change_pace {
            Some(pace) => {
                // A change that is not ended demands nothing.
                tokio::select! {
                    () = work.tasks.stopped() => {}
                    () = self.run_at(pace) => {}
                }
            }
            None => self.run_freely().await,
        }
    }

    async fn run_at(&mut self, pace: &Pace) {
        loop {
            pace.wait_after(1).await;
            self.turn().await;
        }
    }

    async fn run_freely(&mut self) {
        while !self.work.tasks.is_stopping() {
            self.turn().await;
            let pause = self.random.u64(..=self.pause_max());
            tokio::time::sleep(Duration::from_micros(pause)).await;
        }
    }

    /// The longest pause in microseconds: the more keys, the shorter, so that a key is changed
    /// several times a second.
    fn pause_max(&self) -> u64 {
        2_500_000 / u64::from(self.work.keys).clamp(8, 1_000)
    }

    async fn turn(&mut self) {
        // What cannot be read or written is not changed.
        if self.try_turn().await.is_ok() {
            self.work.changes.fetch_add(1, Relaxed);
        }
    }

    async fn try_turn(&mut self) -> io::Result<()> {
        let key = self.key();
        match self.random.u32(..10_000) {
            0..7_900 => self.invalidate(key).await,
            7_900..8_300 => self.demand_version(key).await,
            8_300..9_500 => self.put(key).await,
            9_500..9_850 => {
                let _delivery = self.work.resource.expire(&key).await;
                Ok(())
            }
            9_850..9_880 => self.invalidate_tag(key).await,
            9_880..9_910 => self.invalidate_matching(key).await,
            9_910..9_912 => self.invalidate_all(key).await,
            _ => self.go_away(key).await,
        }
    }

    /// Half of the keys are changed often, and some of them more than others: so that changes meet
    /// loads. The other half is changed so seldom that what is stale would be so for longer than a
    /// window.
    fn key(&mut self) -> u32 {
        const SELDOM: f64 = 0.02;
        let (half, share) = (self.work.keys / 2, self.random.f64());
        if self.random.f64() < SELDOM {
            return self.random.u32(half..self.work.keys);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a number of keys"
        )]
        let often = (share * share * f64::from(half)) as u32;
        often
    }

    async fn invalidate(&self, key: u32) -> io::Result<()> {
        self.raise(key)?;
        let invalidate = async || self.work.resource.invalidate(&key).await;
        self.change(How::Key, self.marks(|other| other == key)?, invalidate).await;
        Ok(())
    }

    async fn demand_version(&self, key: u32) -> io::Result<()> {
        self.raise(key)?;
        let version = self.work.counters.read(key)?;
        let options = InvalidateOptions::new().min_version(version);
        let options = options.replica_lag(Duration::from_secs(1));
        let invalidate = async || self.work.resource.invalidate_with(&key, &options).await;
        self.change(How::Key, vec![(key, version)], invalidate).await;
        Ok(())
    }

    /// Puts the new value, which is for those who know that nothing comes in between.
    async fn put(&self, key: u32) -> io::Result<()> {
        let Some(locked) = self.work.counters.lock(key)? else { return Ok(()) };
        let version = locked.raise()?;
        let marks = vec![(key, version)];
        match value_of(version) {
            Some(value) => {
                let put = async || self.work.resource.put(&key, value).await;
                self.change(How::Put, marks, put).await;
            }
            None => {
                let invalidate = async || self.work.resource.invalidate(&key).await;
                self.change(How::Key, marks, invalidate).await;
            }
        }
        drop(locked);
        Ok(())
    }

    async fn invalidate_tag(&self, key: u32) -> io::Result<()> {
        self.raise(key)?;
        let marks = self.marks(|other| other % TAGS == key % TAGS)?;
        let tag = tag_of(key);
        let invalidate = async || {
            let delivery = self.work.resource.invalidate_tag(&tag).await;
            delivery.unwrap_or(Delivery::Queued)
        };
        self.change(How::Tag, marks, invalidate).await;
        Ok(())
    }

    async fn invalidate_matching(&mut self, key: u32) -> io::Result<()> {
        self.raise(key)?;
        let text = key.to_string();
        let (first, last) = (text.chars().next(), text.chars().last());
        let Some((first, last)) = first.zip(last) else { return Ok(()) };
        let is_first = self.random.bool();
        let pattern = if is_first { format!("{first}*") } else { format!("?{last}") };
        let matches = |other: u32| {
            let other = other.to_string();
            if is_first {
                other.starts_with(first)
            } else {
                other.len() == 2 && other.ends_with(last)
            }
        };
        let marks = self.marks(matches)?;
        let invalidate = async || {
            let delivery = self.work.resource.invalidate_matching(&pattern).await;
            delivery.unwrap_or(Delivery::Queued)
        };
        self.change(How::Pattern, marks, invalidate).await;
        Ok(())
    }

    async fn invalidate_all(&self, key: u32) -> io::Result<()> {
        self.raise(key)?;
        let invalidate = async || self.work.resource.invalidate_all().await;
        self.change(How::All, self.marks(|_| true)?, invalidate).await;
        Ok(())
    }

    /// Begins to invalidate, and does not wait for the end: nothing is demanded then.
    async fn go_away(&mut self, key: u32) -> io::Result<()> {
        self.raise(key)?;
        let patience = Duration::from_micros(self.random.u64(..2_000));
        drop(tokio::time::timeout(patience, self.work.resource.invalidate(&key)).await);
        Ok(())
    }

    /// Changes the source, unless somebody else is doing that.
    fn raise(&self, key: u32) -> io::Result<()> {
        if let Some(locked) = self.work.counters.lock(key)? {
            locked.raise()?;
        }
        Ok(())
    }

    fn marks(&self, is_meant: impl Fn(u32) -> bool) -> io::Result<Marks> {
        let meant = (0..self.work.keys).filter(|key| is_meant(*key));
        meant.map(|key| Ok((key, self.work.counters.read(key)?))).collect()
    }

    /// Makes a change, and writes it down when it is done.
    async fn change<Work: Future<Output = Delivery>>(
        &self,
        how: How,
        marks: Marks,
        work: impl FnOnce() -> Work,
    ) {
        let start = now();
        let is_applied = work().await == Delivery::Applied;
        let end = now();
        for (key, version) in marks {
            let changed = Changed { key, version, how, is_applied, start, end };
            self.work.log.note(&Event::Change(changed));
        }
    }
}
