//! A model of how forewarm keeps nodes coherent. The commands are still to come: for now all
//! scenarios run, or those whose names begin as the argument says.
mod change;
mod check;
mod event;
mod fault;
mod l2;
mod model;
mod poll;
mod protocol;
mod reader;
mod scenario;
mod scenarios;
mod state;
mod turn;

use std::io::{self, Write as _};

use protocol::Protocol;
use scenario::Expected;

fn main() -> io::Result<()> {
    let asked = std::env::args().nth(1).unwrap_or_default();
    let mut out = io::stdout().lock();
    for scenario in scenarios::small() {
        if !scenario.name.starts_with(&asked) {
            continue;
        }
        let mut runs = vec![("", Protocol::FULL, Expected::Safe)];
        runs.extend(scenario.removals.iter().map(|removal| {
            (removal.label, Protocol::without(&removal.mechanisms), removal.expected)
        }));
        for (label, protocol, expected) in runs {
            let report = check::explore(&scenario, protocol, label, expected, 2);
            writeln!(
                out,
                "{:5} {:45} {:>10} {:>11} {:>3} {:>6.1}s {:6} {:26} {:?}",
                report.scenario,
                report.removed,
                report.states,
                report.transitions,
                report.depth,
                report.seconds,
                if report.is_as_expected { "" } else { "WRONG" },
                report.result,
                report.seen
            )?;
            if !report.is_as_expected || asked.len() > 1 {
                for line in report.trace {
                    writeln!(out, "      {line}")?;
                }
            }
        }
    }
    Ok(())
}
