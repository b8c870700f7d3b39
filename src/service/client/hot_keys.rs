//! `forewarm hot-keys`: the keys that are read most.

use clap::Args;
use serde::Deserialize;

use super::Target;
use crate::service::console::{self, Failure, align_numbers, harmless};

/// Lists the keys in memory that are read most.
#[derive(Args, Debug)]
pub(in crate::service) struct Options {
    /// Only keys of this resource. Default: of all.
    #[arg(long, value_name = "RESOURCE")]
    resource: Option<String>,
    /// How many keys at most, 1 to 1,000.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000), value_name = "N")]
    limit: u16,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Deserialize)]
struct HotKey {
    resource: String,
    key: String,
    score: f64,
    rate: Option<f64>,
    heat: f64,
}

pub(in crate::service) fn run(options: &Options) -> Result<(), Failure> {
    super::run(list(options))
}

async fn list(options: &Options) -> Result<(), Failure> {
    let limit = options.limit.to_string();
    let mut terms = vec![("limit", limit.as_str())];
    terms.extend(options.resource.as_deref().map(|name| ("resource", name)));
    let answer = options.target.client()?.get(&["admin", "hot-keys"], &terms).await?;
    answer.print(&options.target, |keys: Vec<HotKey>| text(&keys))
}

fn text(keys: &[HotKey]) -> String {
    if keys.is_empty() {
        return "No key is in memory.".to_owned();
    }
    let mut table = console::table(["resource", "key", "heat", "score", "reads/s"]);
    align_numbers(&mut table, 2);
    for HotKey { resource, key, score, rate, heat } in keys {
        let rate = rate.map_or_else(String::new, |rate| format!("{rate:.3}"));
        let figures = [format!("{heat:.2}"), format!("{score:.2}"), rate];
        table.add_row([harmless(resource), harmless(key)].into_iter().chain(figures));
    }
    table.to_string()
}
