//! One who reads, in all the ways there are.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::counters::last_absent;
use super::history::{Event, Failed, Kind, Reads, Way, now};
use super::node::Work;
use super::pace::Pace;
use crate::error::Error;
use crate::flight::ReadFrom;
use crate::resource::{Read, ReadOptions};

/// A task that reads.
#[derive(Debug)]
pub(super) struct Reader {
    work: Arc<Work>,
    random: fastrand::Rng,
}

/// After so many reads it rests, so that a node that answers everything from memory does not take
/// the processor from those that cannot.
const BURST: u32 = 16;
const REST: Duration = Duration::from_millis(3);
/// The longest rest, on a machine that is busy with other things.
const REST_MAX: Duration = Duration::from_millis(50);

impl Reader {
    pub(super) fn new(work: Arc<Work>, random: fastrand::Rng) -> Self {
        Self { work, random }
    }

    pub(super) async fn run(mut self) {
        let work = Arc::clone(&self.work);
        match &work.read_pace {
            Some(pace) => {
                // One who waits for his turn has nothing to end.
                tokio::select! {
                    () = work.tasks.stopped() => {}
                    () = self.run_at(pace) => {}
                }
            }
            None => self.run_freely().await,
        }
    }

    async fn run_at(&mut self, pace: &Pace) {
        let mut reads = 1;
        loop {
            pace.wait_after(reads).await;
            reads = self.turn().await;
        }
    }

    async fn run_freely(&mut self) {
        let mut rest = REST;
        while !self.work.tasks.is_stopping() {
            for _ in 0..BURST {
                self.turn().await;
            }
            let due = Instant::now() + rest;
            tokio::time::sleep_until(due).await;
            // Who wakes up late has no processor to spare.
            rest = (REST + due.elapsed() * 2).min(REST_MAX);
        }
    }

    /// Reads; gives how many keys.
    async fn turn(&mut self) -> u32 {
        let key = self.random.u32(..self.work.keys);
        match self.random.u32(..1_000) {
            0..650 => self.get(key).await,
            650..750 => self.with(key).await,
            750..960 => self.read(key, ReadOptions::new()).await,
            960..975 => return self.get_many().await,
            975..980 => self.read(key, ReadOptions::new().refresh()).await,
            980..985 => {
                let max_age = Duration::from_millis(self.random.u64(1..500));
                self.read(key, ReadOptions::new().max_age(max_age)).await;
            }
            985..990 => self.read(key, ReadOptions::new().fresh_only()).await,
            990..995 => self.go_away(key).await,
            _ => {
                let _preloaded = self.work.resource.preload(&[key]).await;
                return 0;
            }
        }
        1
    }

    async fn get(&mut self, key: u32) {
        let start = now();
        let result = self.work.resource.get(&key).await;
        self.note(key, Way::Get, start, result.map(|value| value.as_deref().copied()));
    }

    async fn with(&mut self, key: u32) {
        let start = now();
        let copy = |value: Option<&u64>| value.copied();
        let result = self.work.resource.with(&key, copy).await;
        self.note(key, Way::With, start, result);
    }

    async fn read(&mut self, key: u32, options: ReadOptions) {
        let start = now();
        match self.work.resource.read(&key, &options).await {
            Ok(Read { value, from, is_verified, .. }) => {
                let way = match from {
                    ReadFrom::L1 => Way::ReadL1,
                    ReadFrom::L2 => Way::ReadL2,
                    ReadFrom::Source => Way::ReadSource,
                };
                let reads = Reads { is_verified, ..Reads::one(key, 0, way, start) };
                self.note_value(reads, value.as_deref().copied());
            }
            Err(error) => self.note(key, Way::ReadSource, start, Err(error)),
        }
    }

    async fn get_many(&mut self) -> u32 {
        const KEYS_MAX: u32 = 6;
        let count = self.random.u32(1..=KEYS_MAX);
        let keys: Vec<_> = (0..count).map(|_| self.random.u32(..self.work.keys)).collect();
        let start = now();
        let results = self.work.resource.get_many(&keys).await;
        for (key, result) in keys.into_iter().zip(results) {
            self.note(key, Way::GetMany, start, result.map(|value| value.as_deref().copied()));
        }
        count
    }

    /// Begins to read, and does not wait for the answer.
    async fn go_away(&mut self, key: u32) {
        let patience = Duration::from_millis(self.random.u64(..5));
        drop(tokio::time::timeout(patience, self.work.resource.get(&key)).await);
    }

    fn note(&self, key: u32, way: Way, start: u64, result: Result<Option<u64>, Error>) {
        match result {
            Ok(version) => self.note_value(Reads::one(key, 0, way, start), version),
            Err(error) => {
                let failed = Failed { key, kind: kind(&error), start, end: now() };
                self.work.log.note(&Event::Failed(failed));
            }
        }
    }

    /// Writes a read down; `version` is what it gave.
    fn note_value(&self, reads: Reads, version: Option<u64>) {
        // That there is nothing does not say as of when: as of the last time there was nothing, at
        // best.
        let version = match version {
            Some(version) => Ok(version),
            None => self.work.counters.read(reads.key).map(last_absent),
        };
        if let Ok(version) = version {
            self.work.rows.note(Reads { version, ..reads });
        }
    }
}

fn kind(error: &Error) -> Kind {
    match error {
        Error::Load { .. } => Kind::Source,
        Error::Deadline { .. } => Kind::Deadline,
        Error::Overloaded { .. } => Kind::Overloaded,
        Error::BreakerOpen { .. } => Kind::BreakerOpen,
        Error::Panicked { .. } => Kind::Panicked,
        Error::Recursive { .. } | Error::JobBusy { .. } | Error::ShutDown | Error::Config(_) => {
            Kind::Other
        }
    }
}
