//! The runs of jobs: who has which, until when, and how they ended.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use redis::{Value, cmd};

use super::apart::Apart;
use super::fault::Fault;
use super::link::Link;
use super::names::Names;
use super::reply;
use super::script::{
    Call, END_RUN, LAPSED_RUNS, MEET_JOBS, NEWEST_RUNS, RENEW_RUNS, SWEEP_RUNS, TAKE_RUN,
};
use super::value::millis;
use crate::tier::run::{AHEAD_MAX_MS, instant_of, kept};
use crate::tier::{EndRun, JobMemory, Node, RenewRun, RunId, RunRow, RunTaken, TakeRun};

/// Tells what is known of jobs, and makes the others known.
pub(super) async fn meet_jobs(
    link: Arc<Link>,
    jobs: Vec<&str>,
    at: Timestamp,
) -> Result<Vec<JobMemory>, Fault> {
    let mut call = Call::new(&MEET_JOBS);
    call.key(link.names.meta());
    call.key(link.names.jobs());
    call.number(at.as_microsecond());
    for job in jobs {
        call.key(link.names.job(job));
        call.arg(job.as_bytes());
    }
    let known = reply::list(link.ask(&call).await?)?.into_iter();
    known.map(memory).collect()
}

fn memory(known: Value) -> Result<JobMemory, Fault> {
    let [since, handled] = reply::listed(known)?;
    Ok(JobMemory { since: instant_of(reply::number(&since)?), handled: instant(&handled)? })
}

/// Takes a run.
pub(super) async fn take_run(link: &Arc<Link>, run: &TakeRun<'_>) -> Result<RunTaken, Fault> {
    let mut call = Call::new(&TAKE_RUN);
    call.key(link.names.meta());
    call.key(link.names.jobs());
    keys_of(&mut call, &link.names, run.job);
    call.arg(run.job.as_bytes());
    call.arg(run.instant.as_bytes());
    call.number(run.scheduled.as_microsecond());
    call.number(u8::from(run.is_due));
    call.arg(run.run_id.0.to_be_bytes().to_vec());
    call.arg(run.reason.as_bytes());
    call.arg(run.by.0.to_be_bytes().to_vec());
    call.arg(run.permit.0.to_be_bytes().to_vec());
    call.number(run.at.as_microsecond());
    call.number(millis(run.lease_for));
    call.number(millis(run.keep_for));
    call.number(run.instances_max);
    call.number(run.rows_max);
    call.number(run.rows_since.as_microsecond());
    call.number(AHEAD_MAX_MS);
    match link.call_confirmed(&link.open().await?, &call).await? {
        Value::BulkString(word) if word == b"theirs" => Ok(RunTaken::Theirs),
        Value::BulkString(word) if word == b"busy" => Ok(RunTaken::Busy),
        Value::BulkString(word) if word == b"early" => Ok(RunTaken::Early),
        ours => {
            let [run_id, before] = reply::listed(ours)?;
            let run_id = RunId(reply::packed(&reply::bytes(run_id)?)?);
            Ok(RunTaken::Ours { run_id, attempts_before: count(&before)? })
        }
    }
}

/// Renews leases of runs that lie in one domain.
pub(super) async fn renew(
    apart: &Apart,
    link: Arc<Link>,
    runs: Vec<RenewRun<'_>>,
) -> Result<Vec<bool>, Fault> {
    let mut call = Call::new(&RENEW_RUNS);
    call.key(link.names.meta());
    for run in runs {
        call.key(link.names.runs(run.job));
        call.key(link.names.open_runs(run.job));
        call.arg(run.instant.as_bytes());
        call.arg(run.permit.0.to_be_bytes().to_vec());
        call.number(run.attempts);
        call.number(millis(run.lease_for));
        call.number(millis(run.keep_for));
    }
    let renewed = reply::list(apart.call(&link, &call).await?)?;
    renewed.iter().map(|renewed| Ok(reply::number(renewed)? == 1)).collect()
}

/// Notes how a run has ended, or gives it back.
pub(super) async fn end_run(link: &Arc<Link>, run: &EndRun<'_>) -> Result<bool, Fault> {
    let mut call = Call::new(&END_RUN);
    call.key(link.names.meta());
    call.key(link.names.runs(run.job));
    call.key(link.names.open_runs(run.job));
    call.arg(run.instant.as_bytes());
    call.arg(run.permit.0.to_be_bytes().to_vec());
    call.arg(run.outcome.unwrap_or_default().as_bytes());
    call.number(run.attempts);
    call.arg(run.error.map(|error| format!("+{}", kept(error))).unwrap_or_default().into_bytes());
    call.number(run.at.as_microsecond());
    call.number(run.took.as_micros());
    call.number(millis(run.keep_for));
    Ok(reply::number(&link.call_confirmed(&link.open().await?, &call).await?)? == 1)
}

/// The newest runs of a job.
pub(super) async fn newest(
    link: &Arc<Link>,
    job: &str,
    newest_max: u32,
) -> Result<Vec<RunRow>, Fault> {
    let mut call = Call::new(&NEWEST_RUNS);
    call.key(link.names.meta());
    call.key(link.names.runs(job));
    call.key(link.names.run_order(job));
    call.number(newest_max);
    let rows = reply::list(link.ask(&call).await?)?.into_iter();
    rows.map(|told| row(&[job], told)).collect()
}

/// The most runs of a job that are told of at a time.
const LAPSED_MAX: u32 = 100;

/// Runs of jobs in one domain whose leases have run out.
pub(super) async fn lapsed(link: &Arc<Link>, jobs: &[&str]) -> Result<Vec<RunRow>, Fault> {
    let mut call = Call::new(&LAPSED_RUNS);
    call.key(link.names.meta());
    for job in jobs {
        call.key(link.names.runs(job));
        call.key(link.names.open_runs(job));
    }
    call.number(LAPSED_MAX);
    let rows = reply::list(link.ask(&call).await?)?.into_iter();
    rows.map(|told| row(jobs, told)).collect()
}

/// The jobs, and the rows of each, that are looked at in one step.
const JOBS_PER_STEP: usize = 50;
const ROWS_PER_STEP: u32 = 100;

/// Removes rows of one domain that need not be kept any longer.
pub(super) async fn sweep(link: &Arc<Link>) -> Result<(), Fault> {
    let open = link.open().await?;
    let mut members = cmd("SMEMBERS");
    members.arg(link.names.jobs());
    let jobs = open.command(&members).await.inspect_err(|fault| link.note(&open, fault))?;
    let jobs = reply::list(jobs)?.into_iter().map(reply::text).collect::<Result<Vec<_>, _>>()?;
    for jobs in jobs.chunks(JOBS_PER_STEP) {
        let mut call = Call::new(&SWEEP_RUNS);
        call.key(link.names.meta());
        for job in jobs {
            keys_of(&mut call, &link.names, job);
        }
        call.number(ROWS_PER_STEP);
        link.call(&open, &call).await?;
    }
    Ok(())
}

fn keys_of(call: &mut Call<'_>, names: &Names, job: &str) {
    call.key(names.job(job));
    call.key(names.runs(job));
    call.key(names.run_order(job));
    call.key(names.open_runs(job));
}

/// A row, as the script tells it, of one of these jobs.
fn row(jobs: &[&str], told: Value) -> Result<RunRow, Fault> {
    let [nth, at, scheduled, run_id, reason, node, started, ended, took, attempts, outcome, error] =
        reply::listed(told)?;
    let nth = usize::try_from(reply::number(&nth)?).ok().and_then(|nth| nth.checked_sub(1));
    let job = nth.and_then(|nth| jobs.get(nth)).ok_or(Fault::Unreadable)?;
    let micros = |took: i64| Duration::from_micros(took.unsigned_abs());
    Ok(RunRow {
        job: (*job).to_owned(),
        instant: reply::text(at)?,
        scheduled: instant_of(reply::number(&scheduled)?),
        run_id: RunId(reply::packed(&reply::bytes(run_id)?)?),
        reason: reply::text(reason)?,
        by: Node(reply::packed(&reply::bytes(node)?)?),
        started: instant_of(reply::number(&started)?),
        ended: instant(&ended)?,
        took: optional(&took)?.map(micros),
        attempts: count(&attempts)?,
        outcome: text(outcome)?,
        error: text(error)?,
    })
}

fn optional(value: &Value) -> Result<Option<i64>, Fault> {
    if *value == Value::Nil { Ok(None) } else { reply::number(value).map(Some) }
}

fn instant(value: &Value) -> Result<Option<Timestamp>, Fault> {
    Ok(optional(value)?.map(instant_of))
}

fn text(value: Value) -> Result<Option<String>, Fault> {
    if value == Value::Nil { Ok(None) } else { reply::text(value).map(Some) }
}

fn count(value: &Value) -> Result<u32, Fault> {
    u32::try_from(reply::number(value)?).map_err(|_negative| Fault::Unreadable)
}
