//! `forewarm health`: whether a service is ready.

use clap::Args;
use serde::Deserialize;

use super::{ClientError, Target};
use crate::service::console::{self, Failure, Paint, harmless, is_coloured, painted};

/// Says whether a service is ready; needs no token.
///
/// With a token, it says how what it is made of is doing as well.
/// Ends with 1 if it is not ready, as health checks of containers want it.
#[derive(Args, Debug)]
pub(in crate::service) struct Options {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Deserialize)]
struct Readiness {
    ready: bool,
    state: String,
    /// Not told to who has no token, where one is needed.
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Debug, Deserialize)]
struct Component {
    name: String,
    state: String,
    detail: String,
}

pub(in crate::service) fn run(options: &Options) -> Result<(), Failure> {
    super::run(async {
        let answer = options.target.client()?.get_readiness().await?;
        let is_ready = answer.read::<Readiness>()?.ready;
        answer.print(&options.target, |readiness: Readiness| text(&readiness))?;
        if is_ready {
            Ok(())
        } else {
            Err(ClientError::Undone("it is not ready".to_owned()).into())
        }
    })
}

fn text(readiness: &Readiness) -> String {
    let ready = if readiness.ready { "ready" } else { "not ready" };
    let state = harmless(&readiness.state);
    let state = if is_coloured() { painted(&state, paint(&readiness.state)) } else { state };
    let said = format!("It is {ready}, and {state}.");
    if readiness.components.is_empty() {
        return said;
    }
    let mut table = console::table(["component", "state", "what is wrong"]);
    for Component { name, state, detail } in &readiness.components {
        table.add_row([harmless(name), harmless(state), harmless(detail)]);
    }
    format!("{said}\n\n{table}")
}

fn paint(state: &str) -> Paint {
    match state {
        "up" => Paint::Good,
        "down" => Paint::Bad,
        _ => Paint::Doubtful,
    }
}
