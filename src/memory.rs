//! What survives a restart: which keys are hot, what follows what, how good predictions are. Keys
//! and numbers, never values.
//!
//! It is a file of the process's own, and not a part of L2: what is remembered is of the clients of
//! this process, it must be there before L2 answers, and what is hot on other engines L2 tells
//! anyway. As with `innodb_buffer_pool_dump_at_shutdown` of `MySQL`, what is remembered is only which
//! keys to load; the values come the way of every read, so nothing old gets in by this door.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::Notify;

use crate::background::{self, Next};
use crate::config::MemoryConfig;
use crate::engine::{Engine, ReadyBy};
use crate::limits::Quiet;
use crate::metrics::{Counters, MemoryEvent};
use crate::sync::Mutex;
use crate::task;

use self::contents::Contents;
use self::file::{Lock, ReadError, WriteError};

mod contents;
mod envelope;
mod file;

/// The memory of an engine across restarts.
#[derive(Debug)]
pub(crate) struct Memory {
    file: PathBuf,
    terms: MemoryConfig,
    /// Held by whoever reads or writes the file, so that these never overlap.
    access: Mutex<Access>,
    pub(crate) events: Counters<MemoryEvent>,
    failures: Quiet,
    taken: Quiet,
}

#[derive(Debug, Default)]
struct Access {
    /// Whether what was there at the start was looked at. Before that an engine has nothing to say
    /// that would be worth what it replaces.
    was_read: bool,
    /// The right to write the file, once it was had.
    lock: Option<Lock>,
}

impl Memory {
    /// The memory that the settings ask for, if they do.
    pub(crate) fn new(terms: &MemoryConfig) -> Option<Self> {
        let (file, terms) = (terms.file.clone()?, terms.clone());
        let (failures, taken) = (Quiet::new(), Quiet::new());
        let (access, events) = (Mutex::new(Access::default()), Counters::new());
        Some(Self { file, terms, access, events, failures, taken })
    }

    /// Takes over what an earlier process has written, if there is anything that can be read.
    fn restore(&self, engine: &Engine) {
        let mut access = self.access.lock();
        access.was_read = true;
        let contents = match file::read(&self.file).and_then(|bytes| self.open(engine, &bytes)) {
            Ok(contents) => contents,
            Err(ReadError::Missing) => return self.events.one(MemoryEvent::Missing),
            Err(problem) => return self.say_refused(&problem),
        };
        // A clock that was set back tells of no time between.
        let away = engine.clock.wall().duration_since(contents.written_at);
        let away = Duration::try_from(away).unwrap_or_default();
        let recalled = contents.recall(engine, away);
        self.events.one(MemoryEvent::Restored);
        self.events.add(MemoryEvent::KeyRestored, recalled.keys as u64);
        self.events.add(MemoryEvent::KeySkipped, recalled.skipped as u64);
        tracing::info!(keys = recalled.keys, skipped = recalled.skipped, ?away, "remembered");
    }

    fn open(&self, engine: &Engine, bytes: &[u8]) -> Result<Contents, ReadError> {
        let contents: Contents = envelope::open(bytes)?;
        if contents.prefix != engine.prefix.as_str() {
            return Err(ReadError::Prefix);
        }
        Ok(contents)
    }

    /// Writes what is to be remembered. A failure is said and counted, and harms nothing else.
    fn write(&self, engine: &Engine) {
        let mut access = self.access.lock();
        if !access.was_read {
            return;
        }
        match self.replace(engine, &mut access.lock) {
            Ok(()) => self.events.one(MemoryEvent::Written),
            Err(problem) => self.say_failed(engine, &problem),
        }
    }

    fn replace(&self, engine: &Engine, lock: &mut Option<Lock>) -> Result<(), WriteError> {
        // Each time, since somebody may have put another file there; and before the lock, which
        // leaves a file beside it.
        self.look(engine)?;
        if lock.is_none() {
            *lock = Some(Lock::take(&self.file)?);
        }
        let contents = Contents::of(engine, &self.terms);
        file::write(&self.file, &envelope::seal(&contents)?)
    }

    /// Whether what is in the place of the file may be replaced: nothing, or a memory of this engine,
    /// be it damaged.
    fn look(&self, engine: &Engine) -> Result<(), WriteError> {
        let prefix =
            file::read(&self.file).and_then(|bytes| envelope::open_first::<String>(&bytes));
        match prefix {
            Ok(prefix) if prefix == engine.prefix.as_str() => Ok(()),
            Ok(_) => Err(WriteError::Foreign(ReadError::Prefix)),
            Err(problem) if problem.lets_replace() => Ok(()),
            Err(problem) => Err(WriteError::Foreign(problem)),
        }
    }

    fn say_refused(&self, problem: &ReadError) {
        self.events.one(MemoryEvent::Refused);
        let file = self.file.display();
        tracing::warn!(%file, "nothing is remembered: {problem}");
    }

    fn say_failed(&self, engine: &Engine, problem: &WriteError) {
        let (event, speech) = match problem {
            WriteError::Taken => (MemoryEvent::Taken, &self.taken),
            WriteError::Foreign(_) => (MemoryEvent::Foreign, &self.failures),
            _ => (MemoryEvent::Failed, &self.failures),
        };
        self.events.one(event);
        if let Some(unsaid) = speech.may_speak(engine.clock.now()) {
            let file = self.file.display();
            tracing::warn!(%file, unsaid, "what is to be remembered is not written: {problem}");
        }
    }
}

/// Restores what is remembered, if anything is, and begins to load what is wanted first.
pub(crate) async fn start(engine: &Arc<Engine>, memory: Option<&Arc<Memory>>) {
    if let Some(memory) = memory {
        let (held, reader) = (Arc::clone(engine), Arc::clone(memory));
        if on_a_thread(engine, move || reader.restore(&held)).await.is_none() {
            memory.say_refused(&ReadError::Thread);
        }
    }
    warm(engine);
    if let Some(memory) = memory.filter(|_| !engine.is_exact) {
        flush(engine, memory);
    }
}

/// Writes what is to be remembered, a last time.
pub(crate) async fn end(engine: &Arc<Engine>, memory: &Arc<Memory>) {
    let (held, writer) = (Arc::clone(engine), Arc::clone(memory));
    if on_a_thread(engine, move || writer.write(&held)).await.is_none() {
        memory.say_failed(engine, &WriteError::Thread);
    }
}

async fn on_a_thread(engine: &Engine, work: impl FnOnce() + Send + 'static) -> Option<()> {
    let follows = engine.clock.is_of_one_runtime();
    engine.tasks.run_blocking("forewarm-memory", follows, work).await
}

/// Loads what is wanted first, and says when enough of it is there.
fn warm(engine: &Arc<Engine>) {
    let (terms, resources) = (&engine.config.memory, engine.resources());
    let progress = Arc::clone(&engine.progress);
    let until = engine.clock.now().plus(terms.ready_deadline);
    progress.begin(resources.len(), terms.ready_share);
    for resource in resources {
        let mut warm = resource.warm(Arc::clone(&progress), until);
        // Where nothing is wanted, that is known at once.
        if warm.as_mut().now_or_never().is_some() {
            continue;
        }
        let stopped = engine.tasks.stopped();
        engine.tasks.spawn_loop(async move {
            tokio::select! {
                biased;
                () = stopped => {}
                () = warm => {}
            }
        });
    }
    if progress.is_ready() {
        return;
    }
    let deadline = task::sleep_until(engine.clock.instant(until));
    let (stopped, ready) = (engine.tasks.stopped(), Arc::clone(&progress));
    engine.tasks.spawn_loop(async move {
        let by = tokio::select! {
            biased;
            () = stopped => ReadyBy::ShutDown,
            _ = ready.ready() => return,
            () = deadline => ReadyBy::Deadline,
        };
        progress.end(by);
    });
}

/// Writes what is to be remembered, again and again.
fn flush(engine: &Arc<Engine>, memory: &Arc<Memory>) {
    let (weak, memory) = (Arc::downgrade(engine), Arc::clone(memory));
    let wake = Arc::new(Notify::new());
    // What was restored just now need not be written at once.
    let mut is_first = true;
    background::repeat(&engine.tasks, engine.clock.clone(), wake, move || {
        let skips = std::mem::take(&mut is_first);
        flush_once(weak.clone(), Arc::clone(&memory), skips)
    });
}

async fn flush_once(engine: Weak<Engine>, memory: Arc<Memory>, skips: bool) -> Next {
    let every = memory.terms.flush_every;
    let Some(engine) = engine.upgrade() else { return Next::Never };
    if !skips {
        end(&engine, &memory).await;
    }
    Next::After(every)
}

/// Whether an engine would read these bytes.
#[cfg(fuzzing)]
pub(crate) fn is_readable(bytes: &[u8]) -> bool {
    envelope::open::<Contents>(bytes).is_ok()
}
