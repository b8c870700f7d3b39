//! `forewarm invalidate`: what is held is wrong.

use std::io::{self, BufRead as _, IsTerminal as _};

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ClientError, Target};
use crate::service::console::{self, Failure, grouped, harmless};

/// Forgets keys of a resource, on all nodes.
///
/// That is, on all that share the L2 of the service: whoever reads them from then on gets what the
/// source says.
#[derive(Args, Debug)]
#[command(
    override_usage = "forewarm invalidate [OPTIONS] <RESOURCE> <KEY>...|--tag <TAG>|--pattern <PATTERN>|--all"
)]
pub(in crate::service) struct Options {
    /// The resource.
    resource: String,
    #[command(flatten)]
    selection: Selection,
    /// Only counts what memory holds of it on this node.
    #[arg(long)]
    dry_run: bool,
    /// Does not ask before all of a resource is forgotten.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

/// Which keys.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Selection {
    /// The keys to forget.
    #[arg(value_name = "KEY")]
    keys: Vec<String>,
    /// Forgets the keys whose values have this tag.
    #[arg(long)]
    tag: Option<String>,
    /// Forgets the keys that match this pattern of `*`, `?` and `\`.
    #[arg(long)]
    pattern: Option<String>,
    /// Forgets all keys of the resource.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Deserialize)]
struct Invalidated {
    delivery: String,
    entries: Option<u64>,
}

pub(in crate::service) fn run(options: &Options) -> Result<(), Failure> {
    if options.selection.all && !options.dry_run && !options.yes {
        confirm(&options.resource)?;
    }
    super::run(invalidate(options))
}

/// Asks whether all of a resource is meant.
fn confirm(resource: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() || !console::is_watched() {
        let problem = "--all forgets all of a resource: say --yes where nobody can be asked";
        return Err(ClientError::Usage(problem.to_owned()).into());
    }
    console::note(&format!(
        "All of `{}` will be forgotten on all nodes, and its source be asked for it again. Is that \
         meant? Then write its name:",
        harmless(resource)
    ));
    let mut line = String::new();
    let _bytes = io::stdin().lock().read_line(&mut line)?;
    if line.trim() == resource {
        return Ok(());
    }
    Err(ClientError::Undone("nothing was done".to_owned()).into())
}

async fn invalidate(options: &Options) -> Result<(), Failure> {
    let Options { resource, selection, dry_run, target, .. } = options;
    let client = target.client()?;
    let mut body = selection.terms(resource);
    if let Some(terms) = body.as_object_mut() {
        terms.insert("dry_run".to_owned(), Value::from(*dry_run));
    }
    let answer = client.post(&["admin", "resources", resource, "invalidate"], Some(&body)).await?;
    answer.print(target, |done: Invalidated| text(&done))
}

impl Selection {
    fn terms(&self, resource: &str) -> Value {
        match (&self.tag, &self.pattern) {
            (Some(tag), _) => json!({ "tag": tag }),
            (None, Some(pattern)) => json!({ "pattern": pattern }),
            (None, None) if self.all => json!({ "all": true, "confirm": resource }),
            (None, None) => json!({ "keys": self.keys }),
        }
    }
}

fn text(done: &Invalidated) -> String {
    let held = match done.entries {
        Some(1) => "memory held 1 entry of it on this node".to_owned(),
        Some(count) => format!("memory held {} entries of it on this node", grouped(count)),
        None => "what memory held of it was not counted".to_owned(),
    };
    match done.delivery.as_str() {
        "applied" => format!("It is forgotten: {held}."),
        "queued" => {
            format!("It is forgotten on this node, and L2 will be told once it is reached: {held}.")
        }
        "dry_run" => format!("Nothing was done: {}.", held.replace("held", "holds")),
        other => format!("{}: {held}.", harmless(other)),
    }
}
