//! Everything that is logged in this process, by whom ever, at every level.

use std::io;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What the lines of the log are looked through for, while somebody watches.
///
/// There is one subscriber of a process, which is told of what threads log that have none of their
/// own. Lines are not kept, since there are millions, but for those that have one of the words.
static WATCHED: LazyLock<Watched> = LazyLock::new(|| {
    let shown = dynamic_filter_fn(|_metadata, _cx| WATCHERS.load(Relaxed) > 0);
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Lines);
    tracing_subscriber::registry().with(lines.with_filter(shown)).init();
    Watched::default()
});

/// While nobody watches, nothing is written.
static WATCHERS: AtomicUsize = AtomicUsize::new(0);

#[derive(Default)]
struct Watched {
    lines: AtomicU64,
    words: Mutex<Vec<Vec<u8>>>,
    kept: Mutex<Vec<String>>,
}

/// Watches for as long as it lives.
pub(crate) struct Watch {
    word: String,
}

impl Watch {
    /// Keeps the lines with this word in them from now on.
    pub(crate) fn of(word: impl Into<String>) -> Self {
        let word = word.into();
        WATCHED.words.lock().push(word.clone().into_bytes());
        WATCHERS.fetch_add(1, Relaxed);
        Self { word }
    }

    /// The lines with the word in them that were logged so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        let kept = WATCHED.kept.lock();
        kept.iter().filter(|line| line.contains(&self.word)).cloned().collect()
    }

    /// How many lines have been looked through, whoever watched.
    pub(crate) fn looked_through() -> u64 {
        WATCHED.lines.load(Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHERS.fetch_sub(1, Relaxed);
        let mut words = WATCHED.words.lock();
        if let Some(place) = words.iter().position(|word| word == self.word.as_bytes()) {
            words.swap_remove(place);
        }
    }
}

/// Takes the text of one event at a time.
struct Lines;

impl io::Write for Lines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let nth = WATCHED.lines.fetch_add(1, Relaxed);
        let has = |word: &Vec<u8>| event.windows(word.len()).any(|part| part == word.as_slice());
        if WATCHED.words.lock().iter().any(has) {
            let line = String::from_utf8_lossy(event).into_owned();
            super::suite::found(&line);
            WATCHED.kept.lock().push(line);
        }
        super::suite::looked_through(nth);
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
