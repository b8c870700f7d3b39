//! A recorder that sums up what it is told, as a scraper would see it.

use std::collections::{BTreeMap, HashMap};

use forewarm::Forewarm;
use futures_util::FutureExt as _;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

/// A name with its labels, sorted: `name{a="b"}`.
pub(crate) type Series = String;

/// What a recorder has been told, summed over all scrapes.
pub(crate) struct Scrapes {
    recorder: DebuggingRecorder,
    snapshotter: Snapshotter,
    pub(crate) counters: BTreeMap<Series, u64>,
    pub(crate) gauges: BTreeMap<Series, f64>,
    /// How often each histogram was added to.
    pub(crate) samples: BTreeMap<Series, usize>,
    /// What each published name was said to mean.
    pub(crate) help: HashMap<String, String>,
    /// Name, label and its text, of all that was published.
    pub(crate) labels: Vec<(String, String, String)>,
}

impl Scrapes {
    pub(crate) fn new() -> Self {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        Self {
            recorder,
            snapshotter,
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            samples: BTreeMap::new(),
            help: HashMap::new(),
            labels: Vec::new(),
        }
    }

    /// Starts an engine where this recorder is installed.
    pub(crate) fn start(&self, forewarm: &Forewarm) {
        let start = || forewarm.start().now_or_never().unwrap().unwrap();
        metrics::with_local_recorder(&self.recorder, start);
    }

    /// Publishes, and takes what was published.
    pub(crate) fn take(&mut self, forewarm: &Forewarm) {
        metrics::with_local_recorder(&self.recorder, || forewarm.publish_metrics());
        for (key, _unit, help, value) in self.snapshotter.snapshot().into_vec() {
            let name = key.key().name().to_owned();
            for label in key.key().labels() {
                let (label, text) = (label.key().to_owned(), label.value().to_owned());
                self.labels.push((name.clone(), label, text));
            }
            let labels = key.key().labels().map(|label| (label.key(), label.value()));
            let series = series(&name, &labels.collect::<Vec<_>>());
            self.help.insert(name, help.map(|help| help.to_string()).unwrap_or_default());
            match value {
                DebugValue::Counter(added) => *self.counters.entry(series).or_default() += added,
                DebugValue::Gauge(value) => drop(self.gauges.insert(series, value.0)),
                DebugValue::Histogram(values) => {
                    *self.samples.entry(series).or_default() += values.len();
                }
            }
        }
    }

    /// A counter, as a scraper would see it.
    pub(crate) fn counter(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.counters[&series(name, labels)]
    }

    /// Everything that was published, as text.
    pub(crate) fn text(&self) -> String {
        format!("{:?} {:?} {:?}", self.counters, self.gauges, self.samples)
    }

    /// A gauge, as text: states are whole numbers, and shares are short.
    pub(crate) fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> String {
        self.gauges[&series(name, labels)].to_string()
    }

    /// The counters that are not zero.
    pub(crate) fn counted(&self) -> BTreeMap<Series, u64> {
        let counted = self.counters.iter().filter(|(_, count)| **count > 0);
        counted.map(|(series, count)| (series.clone(), *count)).collect()
    }
}

pub(crate) fn series(name: &str, labels: &[(&str, &str)]) -> Series {
    let mut labels: Vec<_> = labels.iter().map(|(name, text)| format!("{name}={text}")).collect();
    labels.sort();
    format!("{name}{{{}}}", labels.join(","))
}
