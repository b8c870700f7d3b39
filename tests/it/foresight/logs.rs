//! What is said in the log, at which level, how often, and what never is.

use std::fmt::{Debug, Write as _};
use std::sync::Arc;

use forewarm::{
    Config, Delivery, Forewarm, MissLevel, Policy, ReadOptions, Resource, SourcePolicy,
};
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::scrapes::Scrapes;
use super::source::{
    Mood, Source, config, engine, item, others_run, plain, predicting, secs, started,
};

/// A line of the log.
#[derive(Clone, Debug)]
struct Line {
    level: Level,
    message: String,
    /// Everything there is to read: `field=value`, in order.
    text: String,
}

/// The lines that this thread logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Line>>>);

impl Log {
    /// Begins to listen, until the guard is dropped.
    fn listen() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::registry().with(log.clone());
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// Takes the lines there are.
    fn take(&self) -> Vec<Line> {
        std::mem::take(&mut self.0.lock())
    }

    /// Takes the lines there are, as level and message.
    fn said(&self) -> Vec<(Level, String)> {
        self.take().into_iter().map(|line| (line.level, line.message)).collect()
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _cx: Context<'_, S>) {
        if !event.metadata().target().starts_with("forewarm") {
            return;
        }
        let mut line =
            Line { level: *event.metadata().level(), message: String::new(), text: String::new() };
        event.record(&mut line);
        self.0.lock().push(line);
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
        write!(self.text, "{}={value:?} ", field.name()).unwrap();
    }
}

/// The number in a field of a line.
fn number(line: &Line, field: &str) -> u64 {
    let value = line.text.split(' ').find_map(|pair| pair.strip_prefix(&format!("{field}=")));
    value.unwrap().parse().unwrap()
}

fn lines<const N: usize>(expected: [(Level, &str); N]) -> Vec<(Level, String)> {
    expected.map(|(level, message)| (level, message.to_owned())).into()
}

/// C36: hits and misses are for those who look for them, renewals are news, and failures errors.
#[tokio::test(start_paused = true)]
async fn each_thing_is_said_at_its_level() {
    let (log, _listening) = Log::listen();
    let source = Source::new();
    let policy = Policy { stale_while_revalidate: Some(secs(30)), ..plain() };
    let (forewarm, items) = started(policy, &source).await;
    assert_eq!(log.said(), lines([(Level::INFO, "started")]));
    items.get(&1).await.unwrap();
    assert_eq!(log.said(), lines([(Level::DEBUG, "miss")]));
    items.get(&1).await.unwrap();
    items.with(&1, |_| ()).await.unwrap();
    items.read(&1, &ReadOptions::new()).await.unwrap();
    assert_eq!(log.said(), vec![(Level::DEBUG, "hit".to_owned()); 3]);
    tokio::time::sleep(secs(61)).await;
    items.get(&1).await.unwrap();
    others_run().await;
    assert_eq!(log.said(), lines([(Level::DEBUG, "hit"), (Level::INFO, "renewed")]));
    source.usually(Mood::Refuses);
    let error = items.get(&2).await.unwrap_err();
    let failed = log.take();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].level, &failed[0].message), (Level::ERROR, &error.to_string()));
    assert!(failed[0].text.contains("the row cannot be read"), "{failed:?}");
    forewarm.shutdown(secs(1)).await;
    assert_eq!(log.said(), lines([(Level::INFO, "shut down")]));
}

/// C36: misses can be raised to the level at which everybody sees them.
#[tokio::test(start_paused = true)]
async fn misses_are_said_at_the_level_that_is_set() {
    for (miss_level, level) in [(MissLevel::Debug, Level::DEBUG), (MissLevel::Info, Level::INFO)] {
        let (log, _listening) = Log::listen();
        let builder = Forewarm::builder().config(Config { miss_level, ..config() });
        let forewarm = builder.build().await.unwrap();
        let items = item(&forewarm, plain(), &Source::new());
        for key in 0..3 {
            items.get(&key).await.unwrap();
        }
        assert_eq!(log.said(), vec![(level, "miss".to_owned()); 3]);
    }
}

/// C36: a summary tells now and then how a resource is doing, if it is read.
#[tokio::test(start_paused = true)]
async fn a_summary_is_said_once_a_minute_where_there_were_reads() {
    let (log, _listening) = Log::listen();
    let every = Config { summary_every: Some(secs(60)), ..config() };
    let forewarm = Forewarm::builder().config(every).build().await.unwrap();
    let items = item(&forewarm, plain(), &Source::new());
    forewarm.start().await.unwrap();
    items.get(&1).await.unwrap();
    items.get(&1).await.unwrap();
    tokio::time::sleep(secs(601)).await;
    let summaries: Vec<_> =
        log.take().into_iter().filter(|line| line.message == "summary").collect();
    assert_eq!(summaries.len(), 1, "{summaries:?}");
    assert_eq!(summaries[0].level, Level::INFO);
    let figures = ["reads", "misses", "loads", "entries"].map(|name| number(&summaries[0], name));
    assert_eq!(figures, [2, 1, 1, 1]);
}

/// C36: a thousand equal failures are a few lines, which tell how many were not said.
#[tokio::test(start_paused = true)]
async fn a_thousand_failures_are_a_few_lines_that_count_the_rest() {
    for mood in [Mood::Refuses, Mood::Fails, Mood::Panics] {
        let (log, _listening) = Log::listen();
        let source = Source::new();
        source.usually(mood);
        let (_forewarm, items) = started(plain(), &source).await;
        for _ in 0..1_000 {
            items.get(&1).await.unwrap_err();
            tokio::time::sleep(secs(1) / 20).await;
        }
        tokio::time::sleep(secs(10)).await;
        items.get(&1).await.unwrap_err();
        let errors: Vec<_> =
            log.take().into_iter().filter(|line| line.level == Level::ERROR).collect();
        // 60 s, and one line in ten of them.
        assert!((2..=7).contains(&errors.len()), "{mood:?}: {}", errors.len());
        let unsaid: u64 = errors.iter().map(|line| number(line, "unsaid")).sum();
        assert_eq!(errors.len() as u64 + unsaid, 1_001, "{mood:?}");
    }
}

/// C36: a thousand renewals are a few lines as well.
#[tokio::test(start_paused = true)]
async fn a_thousand_renewals_are_a_few_lines() {
    let (log, _listening) = Log::listen();
    let (_forewarm, items) = started(plain(), &Source::new()).await;
    items.get(&1).await.unwrap();
    for _ in 0..1_000 {
        items.read(&1, &ReadOptions::new().refresh()).await.unwrap();
    }
    let renewed = log.take().into_iter().filter(|line| line.message == "renewed").count();
    assert_eq!(renewed, 1);
}

const EMAIL: &str = "ada.lovelace@example.org";

type People = Resource<String, String>;

/// Whatever is said, and can be made into text, of a resource that is keyed by e-mail addresses.
async fn everything_said(log_keys: bool) -> (Vec<Line>, Vec<String>) {
    let (log, _listening) = Log::listen();
    let builder = Forewarm::builder().config(Config { log_keys, ..config() });
    let forewarm = builder.build().await.unwrap();
    let source = Source::<String>::new();
    let policy = Policy {
        stale_while_revalidate: Some(secs(30)),
        stale_if_error: Some(secs(3_600)),
        source: SourcePolicy { deadline: secs(5), ..plain().source },
        key_bytes_max: 100,
        ..predicting()
    };
    let people = forewarm.resource::<String, String>("person").policy(policy);
    let people = people.loader(source.clone()).build().unwrap();
    forewarm.start().await.unwrap();

    let mut texts = read_and_renew(&people).await;
    texts.extend(fail(&people, &source).await);
    texts.push(format!("{:?}", people.explain(EMAIL)));
    texts.push(format!("{people:?} {forewarm:?} {:?}", people.stats()));
    texts.push(serde_json::to_string(&people.stats()).unwrap());
    texts.push(serde_json::to_string(&people.explain(EMAIL)).unwrap());
    let mut scrapes = Scrapes::new();
    scrapes.take(&forewarm);
    texts.push(scrapes.text());
    forewarm.shutdown(secs(1)).await;
    (log.take(), texts)
}

/// Reads a key in time, too late, and one that is too long; gives what the reads look like.
async fn read_and_renew(people: &People) -> Vec<String> {
    let mut texts = Vec::new();
    people.preload([EMAIL]).await;
    for _ in 0..3 {
        let read = people.read(EMAIL, &ReadOptions::new()).await.unwrap();
        texts.push(format!("{read:?}"));
        tokio::time::sleep(secs(70)).await;
    }
    let long = format!("{EMAIL}{}", "x".repeat(100));
    people.get(&long).await.unwrap();
    assert_eq!(people.invalidate(EMAIL).await, Delivery::Applied);
    texts
}

/// Fails in each way; gives what the errors look like.
async fn fail(people: &People, source: &Source<String>) -> Vec<String> {
    let mut texts = Vec::new();
    for mood in [Mood::Refuses, Mood::Fails, Mood::Panics, Mood::Hangs] {
        source.usually(mood);
        let name = format!("{mood:?} {EMAIL}");
        let error = people.get(&name).await.unwrap_err();
        texts.extend([error.to_string(), format!("{error:?}")]);
        assert_eq!(people.preload([name.as_str()]).await.loaded, 0);
        tokio::time::sleep(secs(20)).await;
    }
    texts
}

/// C36, C40: no key's text is in any line, error, figure or debugging text, unless that is wanted.
#[tokio::test(start_paused = true)]
async fn an_email_that_is_a_key_appears_nowhere() {
    let (lines, texts) = everything_said(false).await;
    let said: Vec<_> = lines.iter().map(|line| line.message.as_str()).collect();
    for message in ["started", "hit", "miss", "renewed", "shut down"] {
        assert!(said.contains(&message), "{message} is not among {said:?}");
    }
    assert!(lines.iter().any(|line| line.level == Level::ERROR));
    let all = lines.iter().map(|line| &line.text).chain(&texts);
    for text in all {
        assert!(!text.contains("ada") && !text.contains("example.org"), "{text}");
    }
    // What takes its place tells keys apart.
    let label =
        |line: &Line| line.text.split(' ').find(|p| p.starts_with("key=")).map(str::to_owned);
    let labels: std::collections::HashSet<_> = lines.iter().filter_map(label).collect();
    assert!(labels.len() >= 2, "{labels:?}");
    assert!(labels.iter().all(|label| label.starts_with("key=#")), "{labels:?}");

    let (lines, texts) = everything_said(true).await;
    assert!(lines.iter().filter(|line| line.text.contains(EMAIL)).count() >= 3);
    assert!(texts.iter().any(|text| text.contains(EMAIL)));
}

/// C36: a key that is shown cannot pretend to be another line.
#[tokio::test(start_paused = true)]
async fn keys_that_are_shown_break_no_lines() {
    let (log, _listening) = Log::listen();
    let builder = Forewarm::builder().config(Config { log_keys: true, ..config() });
    let forewarm = builder.build().await.unwrap();
    let pages = forewarm.resource::<String, String>("page").policy(plain());
    let pages = pages.loader(Source::<String>::new()).build().unwrap();
    pages.get("start\n2031-01-01 ERROR all is lost\u{1b}[31m").await.unwrap();
    let lines = log.take();
    assert_eq!(lines.len(), 1);
    assert!(!lines[0].text.contains('\n') && !lines[0].text.contains('\u{1b}'), "{lines:?}");
    assert!(lines[0].text.contains(r"start\n2031"), "{lines:?}");
}

/// C36: an error names what failed and carries why.
#[tokio::test(start_paused = true)]
async fn an_error_names_the_resource_and_carries_the_cause() {
    let forewarm = engine().await;
    let source = Source::new();
    source.usually(Mood::Refuses);
    let items = item(&forewarm, plain(), &source);
    let error = items.get(&1).await.unwrap_err();
    assert!(error.to_string().contains("`item`"), "{error}");
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.source().unwrap().to_string(), "the row cannot be read");
}
