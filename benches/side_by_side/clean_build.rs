//! Goal 16: how long the library takes to be built from nothing.

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use crate::figure::{Figure, Limits};
use crate::turns::Effort;

const NAME: &str = "clean release build of the library, default features, two jobs";
const LIMITS: Limits = Limits::at_most(150.0, 90.0);

pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    if effort.is_trial {
        return vec![Figure::missing(16, NAME, LIMITS, "a trial builds nothing")];
    }
    match build() {
        Ok((took, cpu)) => {
            let share = cpu.map(|cpu| cpu.as_secs_f64() / 2.0);
            let note = share.map(|share| format!("half of its processor time: {share:.0} s"));
            let figure = Figure::new(16, NAME, took.as_secs_f64(), "s").judged(LIMITS);
            vec![figure.noting(note.unwrap_or_default())]
        }
        Err(why) => vec![Figure::missing(16, NAME, LIMITS, why)],
    }
}

/// The time that it took, and that of processors if the system tells.
fn build() -> Result<(Duration, Option<Duration>), String> {
    let target = tempfile::tempdir().map_err(|error| error.to_string())?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--locked", "--lib", "--jobs", "2"]);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_TARGET_DIR", target.path());
    let (before, began) = (cpu_of_children(), Instant::now());
    let output = command.stdin(Stdio::null()).output();
    let took = began.elapsed();
    match output {
        Ok(output) if output.status.success() => {
            let cpu = cpu_of_children().zip(before).map(|(after, before)| after - before);
            Ok((took, cpu))
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("it failed: {}", said.lines().last().unwrap_or_default()))
        }
        Err(error) => Err(format!("cargo cannot be run: {error}")),
    }
}

/// Processor time of all children that have ended, and of theirs.
fn cpu_of_children() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name may have blanks in it; what follows it begins with the third field.
    let (_name, fields) = stat.rsplit_once(") ")?;
    let mut of_children = fields.split(' ').skip(13);
    let [user, system] = [of_children.next()?, of_children.next()?];
    let ticks = user.parse::<u64>().ok()? + system.parse::<u64>().ok()?;
    Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}
