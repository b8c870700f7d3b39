//! Every metric: its name, labels and meaning, in one list.

pub(crate) use self::counters::{Counters, OwnedCounters};
pub(crate) use self::events::{
    Event, Eviction, Full, L2Op, Load, LoadOutcome, MemoryEvent, Preload, PreloadOutcome,
    ReadOutcome, Refresh, Refusal, StaleIn,
};
pub(crate) use self::timings::Timings;

mod counters;
mod events;
mod timings;

/// What kind of figure a metric is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// A state.
    Gauge,
    /// Spread over buckets.
    Histogram,
}

/// A metric that forewarm publishes through the `metrics` facade.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// The name.
    pub name: &'static str,
    /// The kind.
    pub kind: MetricKind,
    /// The labels; never a key.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

pub(crate) const READS: &str = "forewarm_reads_total";
pub(crate) const LOADS: &str = "forewarm_loads_total";
pub(crate) const LOAD_SECONDS: &str = "forewarm_load_seconds";
pub(crate) const PRELOADS: &str = "forewarm_preloads_total";
pub(crate) const REFRESHES: &str = "forewarm_refreshes_total";
pub(crate) const THRESHOLD: &str = "forewarm_threshold";
pub(crate) const L1_ENTRIES: &str = "forewarm_l1_entries";
pub(crate) const L1_BYTES: &str = "forewarm_l1_bytes";
pub(crate) const L1_CAPACITY: &str = "forewarm_l1_capacity";
pub(crate) const EVICTIONS: &str = "forewarm_evictions_total";
pub(crate) const L2_UP: &str = "forewarm_l2_up";
pub(crate) const L2_ENTRIES: &str = "forewarm_l2_entries";
pub(crate) const L2_BYTES: &str = "forewarm_l2_bytes";
pub(crate) const L2_SECONDS: &str = "forewarm_l2_seconds";
pub(crate) const L2_FAILURES: &str = "forewarm_l2_failures_total";
pub(crate) const FILLS_REFUSED: &str = "forewarm_fills_refused_total";
pub(crate) const OUTBOX: &str = "forewarm_outbox_length";
pub(crate) const COHERENCE_LAG: &str = "forewarm_coherence_lag_seconds";
pub(crate) const COHERENCE_GAPS: &str = "forewarm_coherence_gaps_total";
pub(crate) const CHANGES_HEARD: &str = "forewarm_changes_heard_total";
pub(crate) const STALE_OBSERVED: &str = "forewarm_stale_observed_total";
pub(crate) const GROUPS: &str = "forewarm_live_groups";
pub(crate) const FLIGHTS: &str = "forewarm_flights";
pub(crate) const TRACKED: &str = "forewarm_tracked_keys";
pub(crate) const TRACKED_DROPPED: &str = "forewarm_tracked_dropped_total";
pub(crate) const ASSOCIATIONS: &str = "forewarm_associations";
pub(crate) const LEARNED_KEYS: &str = "forewarm_learned_keys";
pub(crate) const LEARNED_CLIENTS: &str = "forewarm_learned_clients";
pub(crate) const LEARNED_DROPPED: &str = "forewarm_learned_dropped_total";
pub(crate) const UNRECORDED: &str = "forewarm_reads_unrecorded_total";
pub(crate) const PROBABILITY_ERROR: &str = "forewarm_preload_probability_error";
pub(crate) const BRIER_SCORE: &str = "forewarm_preload_brier_score";
pub(crate) const MUTED: &str = "forewarm_preload_muted";
pub(crate) const BREAKER: &str = "forewarm_breaker_state";
pub(crate) const MEMORY_READS: &str = "forewarm_memory_reads_total";
pub(crate) const MEMORY_WRITES: &str = "forewarm_memory_writes_total";
pub(crate) const MEMORY_KEYS: &str = "forewarm_memory_keys_total";
pub(crate) const READY: &str = "forewarm_ready";
pub(crate) const WARM_SHARE: &str = "forewarm_warm_share";
pub(crate) const STARTED: &str = "forewarm_start_timestamp_seconds";
pub(crate) const JOB_RUNS: &str = "forewarm_job_runs_total";
pub(crate) const JOB_LAST_SUCCESS: &str = "forewarm_job_last_success_timestamp_seconds";
pub(crate) const JOB_INTERVAL: &str = "forewarm_job_interval_seconds";
pub(crate) const HTTP_REFUSED: &str = "forewarm_http_refused_total";
pub(crate) const HTTP_REQUESTS: &str = "forewarm_http_requests_total";
pub(crate) const HTTP_SECONDS: &str = "forewarm_http_seconds";
pub(crate) const HTTP_WAITING: &str = "forewarm_http_requests_waiting";
pub(crate) const HTTP_CONNECTIONS: &str = "forewarm_http_connections";
pub(crate) const BUILD_INFO: &str = "forewarm_build_info";

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: MetricKind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, labels, help }
}

const fn seconds(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: MetricKind::Histogram, labels, help }
}

/// Every metric that forewarm publishes.
pub const METRICS: &[Metric] = &[
    counter(READS, &["resource", "tier", "outcome"], "Reads, by the tier that answered and how"),
    counter(
        LOADS,
        &["resource", "origin", "outcome"],
        "Keys asked of the source, by why and how it ended",
    ),
    seconds(LOAD_SECONDS, &["resource", "origin"], "How long calls of the loader took"),
    counter(
        PRELOADS,
        &["resource", "reason", "outcome"],
        "Keys loaded ahead: read in time (useful), never read (wasted), asked for while loading (late), failed, or refused by a limit; or looked for in L2 to be copied, which did not hold it (not_held)",
    ),
    counter(REFRESHES, &["resource", "outcome"], "Loads that renewed a key that was held"),
    gauge(THRESHOLD, &["resource"], "The probability from which a key is loaded ahead"),
    gauge(L1_ENTRIES, &["resource", "segment"], "Entries in memory"),
    gauge(
        L1_BYTES,
        &["resource", "segment"],
        "Weight of the entries in memory, in the unit of the capacity",
    ),
    gauge(L1_CAPACITY, &["resource"], "The most that is kept in memory, in bytes or entries"),
    counter(EVICTIONS, &["resource", "cause"], "Entries that left memory, by cause"),
    gauge(L2_UP, &[], "1 while L2 answers, 0 while it is left alone"),
    gauge(L2_ENTRIES, &[], "Rows in L2"),
    gauge(L2_BYTES, &[], "Bytes that L2 takes"),
    seconds(L2_SECONDS, &["op"], "How long calls of L2 took"),
    counter(
        L2_FAILURES,
        &["op"],
        "Calls of L2 that failed or took too long; the read went on without",
    ),
    counter(
        FILLS_REFUSED,
        &["resource", "why"],
        "Values that were loaded and not stored in a tier, by why",
    ),
    gauge(OUTBOX, &["resource"], "Invalidations that wait for L2"),
    gauge(COHERENCE_LAG, &[], "How long ago everything had been heard of that others have changed"),
    counter(
        COHERENCE_GAPS,
        &[],
        "Times that changes of others may have been missed, so that memory was voided",
    ),
    counter(CHANGES_HEARD, &[], "Changes by others that were heard of"),
    counter(
        STALE_OBSERVED,
        &["resource", "tier"],
        "Values found by the probe that were older than an invalidation",
    ),
    gauge(
        GROUPS,
        &["resource"],
        "Groups of keys that were invalidated and are still compared with",
    ),
    gauge(FLIGHTS, &["resource"], "Keys that are loading or waiting to be loaded"),
    gauge(
        TRACKED,
        &["resource"],
        "Keys whose reads are remembered although they are not in memory",
    ),
    counter(TRACKED_DROPPED, &["resource", "table"], "Keys that a full table forgot"),
    gauge(ASSOCIATIONS, &[], "Pairs of keys that are known to be read one after the other"),
    gauge(LEARNED_KEYS, &[], "Keys whose followers are remembered"),
    gauge(LEARNED_CLIENTS, &[], "Clients whose last reads are remembered"),
    counter(LEARNED_DROPPED, &["table"], "Keys and clients that were forgotten for others"),
    counter(
        UNRECORDED,
        &[],
        "Reads that were not learned from, since too many came at once; without hits of nobody, of which a sample is enough",
    ),
    gauge(
        PROBABILITY_ERROR,
        &["resource"],
        "Mean distance between the predicted probability and the share that came true",
    ),
    gauge(BRIER_SCORE, &["resource"], "Mean squared error of predictions; 0.25 is tossing a coin"),
    gauge(
        MUTED,
        &["resource"],
        "1 while predictions are only watched, because too few came true; else 0",
    ),
    gauge(
        BREAKER,
        &["resource"],
        "0 while the source is asked, 1 while one load tries it again, 2 while it is left alone",
    ),
    counter(
        MEMORY_READS,
        &["outcome"],
        "Files of an earlier run that were read at the start (restored), missing, or refused",
    ),
    counter(
        MEMORY_WRITES,
        &["outcome"],
        "Times that what is to be remembered was written, failed to be, was left to another engine (taken), or would have replaced what is no memory of this one (foreign)",
    ),
    counter(
        MEMORY_KEYS,
        &["outcome"],
        "Keys in the file that were restored, or skipped: they are no keys any more, or there was no room",
    ),
    gauge(
        READY,
        &[],
        "1 once enough of what is wanted after the start is in memory, or `memory.ready_deadline` has passed, else 0",
    ),
    gauge(WARM_SHARE, &[], "The share of what was wanted after the start that came into memory"),
    gauge(STARTED, &[], "When the engine was started, in seconds since 1970"),
    counter(
        JOB_RUNS,
        &["job", "outcome"],
        "Runs of jobs, by how they ended, and those that were missed",
    ),
    gauge(
        JOB_LAST_SUCCESS,
        &["job"],
        "When a run of the job last succeeded here, or before the start on any engine, in seconds since 1970; if none has, when the job was first known",
    ),
    gauge(
        JOB_INTERVAL,
        &["job"],
        "The longest time between two of the next runs of the job; 0 if it is not due again and again",
    ),
    counter(
        HTTP_REFUSED,
        &["why"],
        "Requests to the service that were refused before anything was asked of them: a header is missing or there twice (header), the name is not ours (host), a page of another site asks (site), too many came from the address (rate), there is no token (no_token), it is not known (token), nor were many before it (tokens), or it lacks the scope (scope)",
    ),
    counter(
        HTTP_REQUESTS,
        &["route", "status"],
        "Requests that the service has answered, by what they were for and the status",
    ),
    seconds(
        HTTP_SECONDS,
        &["route"],
        "How long requests took that the service could not answer at once, as it does from memory",
    ),
    gauge(HTTP_WAITING, &[], "Requests to the service that wait for something"),
    gauge(HTTP_CONNECTIONS, &[], "Connections to the service that are open"),
    gauge(BUILD_INFO, &["version"], "Always 1"),
];

/// Tells the installed recorder what each metric means.
pub(crate) fn describe() {
    for metric in METRICS {
        match metric.kind {
            MetricKind::Counter => metrics::describe_counter!(metric.name, metric.help),
            MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            MetricKind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
}
