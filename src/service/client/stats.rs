//! `forewarm stats`: what came of it so far.

use clap::Args;
use serde::Deserialize;

use super::{Target, percent};
use crate::service::console::{self, Failure, align_numbers, grouped, harmless};

/// Shows what came of caching and of loading ahead, since the service was started.
#[derive(Args, Debug)]
pub(in crate::service) struct Options {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Deserialize)]
struct Stats {
    total_accesses: u64,
    hit_ratio: f64,
    preload_count: u64,
    preload_hits: u64,
    preload_hit_rate: f64,
    active_tasks: u64,
    associations: u64,
    resources: Vec<Resource>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    resource: String,
    total_accesses: u64,
    l1_hits: u64,
    l1_stale: u64,
    l2_hits: u64,
    misses: u64,
    errors: u64,
    loads: u64,
    load_failures: u64,
    preload_count: u64,
    preload_hits: u64,
    preloads_wasted: u64,
    entries: u64,
    queued_invalidations: u64,
    breaker: String,
}

pub(in crate::service) fn run(options: &Options) -> Result<(), Failure> {
    super::run(async {
        let answer = options.target.client()?.get(&["admin", "stats"], &[]).await?;
        answer.print(&options.target, |stats: Stats| text(&stats))
    })
}

fn text(stats: &Stats) -> String {
    let mut text = format!(
        "{} reads, {} of them without waiting for a source. {} keys were loaded ahead, {} of them \
         read in time ({}). {} loads are under way; {} pairs of keys are known to follow each other.",
        grouped(stats.total_accesses),
        percent(stats.hit_ratio),
        grouped(stats.preload_count),
        grouped(stats.preload_hits),
        percent(stats.preload_hit_rate),
        grouped(stats.active_tasks),
        grouped(stats.associations),
    );
    text = console::wrapped(&text);
    let mut table = console::table([
        "resource", "source", "reads", "hit", "misses", "errors", "loads", "failed", "preloads",
        "useful", "wasted", "entries", "queued",
    ]);
    align_numbers(&mut table, 2);
    for resource in &stats.resources {
        let hits = resource.l1_hits + resource.l1_stale + resource.l2_hits;
        let hit = percent(crate::stats::ratio(hits, resource.total_accesses));
        let counts = [
            resource.misses,
            resource.errors,
            resource.loads,
            resource.load_failures,
            resource.preload_count,
            resource.preload_hits,
            resource.preloads_wasted,
            resource.entries,
            resource.queued_invalidations,
        ];
        let source = match resource.breaker.as_str() {
            "closed" => "asked".to_owned(),
            "half_open" => "tried again".to_owned(),
            "open" => "left alone".to_owned(),
            other => harmless(other),
        };
        let mut row =
            vec![harmless(&resource.resource), source, grouped(resource.total_accesses), hit];
        row.extend(counts.map(grouped));
        table.add_row(row);
    }
    text.push_str("\n\n");
    text.push_str(&table.to_string());
    text
}
