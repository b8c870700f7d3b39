//! What the engine's own types look like in answers, for the description of the service.
//!
//! The engine knows nothing of HTTP, so its types do not describe themselves. That these say the same
//! is tried by comparing real answers with the description.

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// A span.
#[derive(ToSchema)]
pub(super) struct Span {
    /// Whole seconds.
    secs: u64,
    /// What is left, in nanoseconds.
    nanos: u32,
}

/// How a component is doing.
#[derive(ToSchema)]
pub(super) struct ComponentHealth {
    /// Its name.
    name: String,
    /// Whether it does its work.
    state: HealthState,
    /// What is wrong with it, and what follows from that; empty if it is up.
    detail: String,
}

/// Whether something does its work.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(super) enum HealthState {
    /// It does.
    Up,
    /// It does in part.
    Degraded,
    /// It does not.
    Down,
}

/// An engine that shares L2.
#[derive(ToSchema)]
pub(super) struct NodeSeen {
    /// What it is called in L2 for as long as it runs.
    node: String,
    /// Whether it is the one that was asked.
    is_self: bool,
    /// The time since it last named itself, as far as the clocks of the two agree.
    seen_ago: Span,
}

/// How a job is doing.
#[derive(ToSchema)]
pub(super) struct JobStatus {
    /// Its name.
    name: String,
    /// When it is due, in words.
    triggers: Vec<String>,
    /// When it is due next; `null` if it is not.
    #[schema(required, format = DateTime)]
    next_run: Option<String>,
    /// Whether it is paused.
    is_paused: bool,
    /// The runs under way on this node.
    running: usize,
    /// The runs that wait to be started.
    waiting: usize,
    /// When a run last succeeded on this node.
    #[schema(required, format = DateTime)]
    last_success: Option<String>,
    /// The runs that have failed since then.
    consecutive_failures: u64,
}

/// A run of a job.
#[derive(ToSchema)]
pub(super) struct Run {
    /// What names this run, and no other one.
    run_id: String,
    /// The job.
    job: String,
    /// Why it is run.
    reason: RunReason,
    /// The instant at which it was due, or asked for.
    #[schema(format = DateTime)]
    scheduled: String,
    /// When its first attempt began; `null` while it waits, and if it never began.
    #[schema(required, format = DateTime)]
    started: Option<String>,
    /// When it ended; `null` until then.
    #[schema(required, format = DateTime)]
    ended: Option<String>,
    /// How long it took.
    #[schema(required, example = "1s 20ms")]
    took: Option<String>,
    /// The attempts that have begun.
    attempts: usize,
    /// How it ended; `null` until then.
    #[schema(required)]
    outcome: Option<RunOutcome>,
    /// What the last attempt failed with.
    #[schema(required)]
    error: Option<String>,
}

/// Why a job is run.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(super) enum RunReason {
    /// It was due.
    Due,
    /// It had come due while nobody looked.
    CatchUp,
    /// Somebody asked for it.
    Manual,
}

/// How a run ended.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(super) enum RunOutcome {
    /// It did what it should.
    Succeeded,
    /// Its last attempt failed.
    Failed,
    /// It had not ended by its deadline.
    Deadline,
    /// It panicked.
    Panicked,
    /// The engine was shut down before it had ended.
    Aborted,
    /// It could not be started in time.
    Missed,
    /// L2 did not say in time whether another engine runs it.
    Unclaimed,
    /// L2 did not say in time that it was still this engine's.
    LeaseLost,
}

/// How a snapshot is doing.
#[derive(ToSchema)]
pub(super) struct SnapshotStatus {
    /// Its name.
    name: String,
    /// When the load of what it holds began; `null` if it holds nothing yet.
    #[schema(required, format = DateTime)]
    last_updated_at: Option<String>,
    /// The time since then.
    #[schema(required)]
    age: Option<Span>,
    /// When it is due to be renewed next; `null` if it is not.
    #[schema(required, format = DateTime)]
    next_refresh_at: Option<String>,
    /// Why the last renewal failed; `null` if it did not.
    #[schema(required)]
    last_error: Option<String>,
    /// The renewals that have failed since the last one that did not, each attempt counted.
    consecutive_failures: u64,
}

/// A snapshot: its collections by their names, and when it was and will be renewed.
#[derive(ToSchema)]
pub(super) struct ShownSnapshot {
    /// When the load of what it holds began; `null` if it holds nothing yet.
    #[schema(required, format = DateTime)]
    last_updated_at: Option<String>,
    /// When it is due to be renewed next; `null` if it is not.
    #[schema(required, format = DateTime)]
    next_refresh_at: Option<String>,
    /// Its collections.
    #[serde(flatten)]
    collections: BTreeMap<String, serde_json::Value>,
}

/// A key that is usually read after another.
#[derive(ToSchema)]
pub(super) struct RelatedKey {
    /// The resource of the key.
    resource: String,
    /// The key.
    key: String,
    /// The share of the reads of the other key after which this one was read, 0 to 1.
    confidence: f64,
    /// How often that was; older times count less.
    weight: f64,
}

/// A pair of keys of which the second is usually read after the first.
#[derive(ToSchema)]
pub(super) struct LearnedPair {
    /// The resource of the first key.
    resource: String,
    /// The first key.
    key: String,
    /// The second key.
    related: RelatedKey,
}

/// A rule that was learned: reads of one resource are followed by reads of another with the same id.
#[derive(ToSchema)]
pub(super) struct LearnedRule {
    /// The resource that is read first.
    from: String,
    /// The resource that follows.
    to: String,
    /// The share of the reads of the first resource that were followed so, 0 to 1.
    confidence: f64,
}

/// Figures of a resource, since it was built; those that are states, as of now.
#[derive(ToSchema)]
pub(super) struct ResourceStats {
    /// Reads.
    total_accesses: u64,
    /// Keys whose reads are known, in memory or not.
    tracked_patterns: u64,
    /// Pairs of keys that are read one after the other, over all resources of the engine.
    associations: u64,
    /// Keys whose preload has begun, whatever came of it.
    preload_count: u64,
    /// Keys loaded ahead that were read before they left.
    preload_hits: u64,
    /// `preload_hits / preload_count`; 0 before the first.
    preload_hit_rate: f64,
    /// Keys that are loading, or waiting to be loaded.
    active_tasks: u64,
    /// The resource.
    resource: String,
    /// Reads that memory answered with a fresh value, or with "no such thing".
    l1_hits: u64,
    /// Reads that memory answered with a stale value, which was renewed behind the reader.
    l1_stale: u64,
    /// Reads that L2 answered.
    l2_hits: u64,
    /// Reads that waited for the source.
    misses: u64,
    /// Reads that got an old value because the source failed.
    stale_on_error: u64,
    /// Reads that got an error.
    errors: u64,
    /// Keys asked of the source, again for each attempt.
    loads: u64,
    /// Those that the source did not answer.
    load_failures: u64,
    /// Loads that renewed a key that was held.
    refreshes: u64,
    /// Preloads that left unread.
    preloads_wasted: u64,
    /// Preloads that somebody asked for while they were loading.
    preloads_late: u64,
    /// Preloads whose load failed.
    preloads_failed: u64,
    /// Preloads that a limit did not let start.
    preloads_refused: u64,
    /// Keys that were not likely enough to be loaded ahead, and that L2 did not hold to be copied.
    preloads_not_held: u64,
    /// Entries in memory.
    entries: u64,
    /// Their weight, in the unit of the capacity.
    weight: u64,
    /// The most that memory keeps, in bytes or entries.
    capacity: u64,
    /// Invalidations that wait for L2.
    queued_invalidations: u64,
    /// Whether the source is asked.
    breaker: BreakerState,
    /// The time within which 95 of 100 loads end, in milliseconds.
    load_time_p95_ms: f64,
    /// How good the predictions are.
    predictions: PredictionStats,
}

/// Whether a source is asked.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(super) enum BreakerState {
    /// It is asked.
    Closed,
    /// It is asked by one call, which decides.
    HalfOpen,
    /// It is left alone.
    Open,
}

/// How good the predictions of a resource are.
#[derive(ToSchema)]
pub(super) struct PredictionStats {
    /// Predictions of which it is known whether they came true.
    scored: u64,
    /// Those that did.
    came_true: u64,
    /// The mean of the squared errors, 0 to 1, where 0.25 is what tossing a coin gives.
    brier_score: f64,
    /// The mean distance between what was predicted and what came true, 0 to 1.
    calibration_error: f64,
    /// What was predicted and what came true, by tenths of the probability, lowest first.
    reliability: Vec<Reliability>,
    /// Whether predictions are only watched, because too few came true.
    is_muted: bool,
}

/// What was predicted with probabilities of one tenth, and what came of it.
#[derive(ToSchema)]
pub(super) struct Reliability {
    /// Predictions.
    scored: u64,
    /// The mean of their probabilities.
    predicted: f64,
    /// The share that came true.
    realised: f64,
}

/// What is loaded before anybody asks, and the most that it may cost.
#[derive(ToSchema)]
pub(super) struct PreloadPolicy {
    /// What decides: `off`, `observe`, `predicted`, or an object `classic` with its terms.
    mode: serde_json::Value,
    /// Whether what is about to expire is renewed.
    renewals: bool,
    /// Whether what usually follows is loaded.
    associations: bool,
    /// Whether what follows with the same id is loaded.
    rules: bool,
    /// The probability from which a key is loaded ahead.
    threshold: f64,
    /// The most loads beyond those of demand, as a share of these; `null` for no such limit.
    #[schema(required)]
    extra_loads: Option<f64>,
    /// The most keys loaded ahead per second, on average.
    loads_per_second: f64,
    /// The most keys loaded ahead at once after a quiet time.
    burst: usize,
    /// The most keys loaded per second after a start.
    warmed_per_second: f64,
    /// The keys that may wait for their turn.
    queue_max: usize,
}

/// What the engine knows of a key, and what it will do with it.
#[derive(ToSchema)]
pub(super) struct Explanation {
    /// What memory holds of it.
    #[schema(required)]
    held: Option<HeldEntry>,
    /// Its reads, each weighing half as much after a half-life.
    score: f64,
    /// Its reads per second, as of now; `null` before the second read.
    #[schema(required)]
    rate: Option<f64>,
    /// The probability that it is read within one more ttl.
    probability: f64,
    /// The probability from which it is loaded ahead.
    threshold: f64,
    /// Whether it is loading.
    is_loading: bool,
    /// Whether it is loaded ahead, or why not.
    verdict: Verdict,
}

/// What memory holds of a key.
#[derive(ToSchema)]
pub(super) struct HeldEntry {
    /// Whether it may be served: `fresh`, `stale` or `expired`.
    freshness: String,
    /// Whether it says that the source has no such thing.
    is_absent: bool,
    /// The time since its load began.
    age: Span,
    /// How much longer it is fresh.
    fresh_for: Span,
    /// Why it was loaded: `demand`, `refresh` or `preload`.
    origin: String,
    /// What proposed it, if it was preloaded.
    #[schema(required)]
    reason: Option<String>,
    /// How probable a read was when it was preloaded.
    #[schema(required)]
    predicted: Option<f32>,
    /// Whether it was preloaded and nobody has read it yet.
    is_unread: bool,
    /// How much of the capacity it takes.
    weight: u64,
}

/// Whether a key is loaded ahead, or why not.
#[derive(ToSchema)]
pub(super) struct Verdict {
    /// One word for it, such as `renewed` or `too_unlikely`.
    verdict: String,
    /// The time until its load is tried again, where its loads fail.
    #[schema(nullable = false)]
    retry_in: Option<Span>,
}
