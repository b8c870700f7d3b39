//! `forewarm warm`: keys that will be wanted.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::lines::{Line, Lines};
use super::{Client, ClientError, Target};
use crate::service::console::{self, Failure, grouped};

mod lines;

/// Has a service load keys that will be wanted, behind its readers.
///
/// Lines that are no keys are named and left out. Ends with 1 if there were any, or if a key was not
/// loaded.
#[derive(Args, Debug)]
pub(in crate::service) struct Options {
    /// The resource.
    resource: String,
    /// The keys, one a line; `-` reads them from standard input.
    file: PathBuf,
    /// How many are sent at a time, 1 to 100,000; the service takes `server.batch_keys_max` at most.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "N")]
    batch: u32,
    #[command(flatten)]
    target: Target,
}

/// What came of it, in keys.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Warmed {
    loaded: u64,
    absent: u64,
    held: u64,
    failed: u64,
    refused: u64,
}

/// A batch may wait for a slow source.
const TIMEOUT: Duration = Duration::from_mins(10);
/// A body that a service takes by default, without what is around the keys.
const BATCH_BYTES_MAX: usize = 60_000;
/// So many bad lines are named; of more it is said that there are more.
const NAMED_MAX: u64 = 20;

pub(in crate::service) fn run(options: &Options) -> Result<(), Failure> {
    super::run(warm(options))
}

async fn warm(options: &Options) -> Result<(), Failure> {
    let client = options.target.client_within(TIMEOUT)?;
    let (reader, length) = open(&options.file)?;
    let bar = console::progress_bar(length, format!("warming {}", options.resource));
    let mut warming =
        Warming { client, options, bar, batch: Vec::new(), bytes: 0, sum: Warmed::default() };
    let mut bad = 0_u64;
    for line in Lines::new(reader) {
        match line? {
            Line::Key { text, end } => warming.add(text, end).await?,
            Line::Blank => {}
            Line::Bad { nth, problem } => {
                bad += 1;
                if bad <= NAMED_MAX {
                    let name = options.file.display();
                    warming.bar.suspend(|| console::note(&format!("{name}:{nth}: {problem}")));
                }
            }
        }
    }
    warming.send().await?;
    warming.bar.finish_and_clear();
    if bad > NAMED_MAX {
        console::note(&format!("and {} more lines are no keys", grouped(bad - NAMED_MAX)));
    }
    warming.sum.print(&options.target)?;
    warming.sum.judge(bad)
}

/// What is read, and how long it is if that is known.
fn open(file: &Path) -> Result<(Box<dyn BufRead>, u64), Failure> {
    if file == Path::new("-") {
        return Ok((Box::new(BufReader::new(io::stdin())), 0));
    }
    let unread = |error| format!("{} cannot be read: {error}", file.display());
    let opened = File::open(file).map_err(unread)?;
    let known = opened.metadata().map_err(unread)?;
    if known.is_dir() {
        return Err(format!("{} is a directory", file.display()).into());
    }
    Ok((Box::new(BufReader::new(opened)), known.len()))
}

/// Keys on their way to a service.
struct Warming<'a> {
    client: Client,
    options: &'a Options,
    bar: ProgressBar,
    batch: Vec<String>,
    /// What they take in a body.
    bytes: usize,
    sum: Warmed,
}

impl Warming<'_> {
    /// Adds a key that ends at this byte of the file.
    async fn add(&mut self, key: String, end: u64) -> Result<(), ClientError> {
        // Quotes and a comma; and in the worst case each byte is escaped.
        let bytes = serde_json::to_string(&key).map_or(key.len() * 6, |text| text.len()) + 1;
        let keys_max = usize::try_from(self.options.batch).unwrap_or(usize::MAX);
        if self.batch.len() >= keys_max || self.bytes + bytes > BATCH_BYTES_MAX {
            self.send().await?;
            self.bar.set_position(end);
        }
        self.batch.push(key);
        self.bytes += bytes;
        Ok(())
    }

    async fn send(&mut self) -> Result<(), ClientError> {
        let keys = std::mem::take(&mut self.batch);
        self.bytes = 0;
        if keys.is_empty() {
            return Ok(());
        }
        let path = ["admin", "resources", self.options.resource.as_str(), "warm"];
        let answer = self.client.post(&path, Some(&json!({ "keys": keys }))).await?;
        self.sum.add(&answer.read()?);
        Ok(())
    }
}

impl Warmed {
    const fn add(&mut self, more: &Self) {
        self.loaded += more.loaded;
        self.absent += more.absent;
        self.held += more.held;
        self.failed += more.failed;
        self.refused += more.refused;
    }

    /// The sum over all batches, which no answer says by itself.
    fn print(&self, target: &Target) -> Result<(), Failure> {
        if target.is_json() {
            return console::print(&serde_json::to_string(self)?);
        }
        let Self { loaded, absent, held, failed, refused } = self;
        let counts = [loaded, held, absent, failed, refused].map(|count| grouped(*count));
        let [loaded, held, absent, failed, refused] = counts;
        console::print(&format!(
            "{loaded} loaded, {held} held already, {absent} of which there is no such thing, {failed} \
             failed, {refused} refused by a limit"
        ))
    }

    fn judge(&self, bad: u64) -> Result<(), Failure> {
        let undone = self.failed + self.refused;
        let mut problems = Vec::new();
        if undone > 0 {
            problems.push(format!("{} keys were not loaded", grouped(undone)));
        }
        if bad > 0 {
            problems.push(format!("{} lines are no keys", grouped(bad)));
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(ClientError::Undone(problems.join(", and ")).into())
    }
}
