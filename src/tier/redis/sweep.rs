//! Removing what is of no more use, and how much there is.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use redis::{Cmd, Value, cmd};

use super::fault::Fault;
use super::link::Link;
use super::names::is_value;
use super::open::Open;
use super::reply;
use super::runs;
use super::script::{Call, SWEEP, TIDY};
use crate::tier::TierSize;

/// How many keys, or fields of a key, are looked at in one step.
const STEP: usize = 1_000;

/// Removes at most `rows_max` values of one domain that nobody can be served any more, and forgets
/// invalidations that nothing can stem from before.
///
/// The server removes by itself what has ended. This finds what is void, some keys at a time.
pub(super) async fn sweep(link: &Arc<Link>, rows_max: u64) -> Result<u64, Fault> {
    let open = link.open().await?;
    let mut tidy = Call::new(&TIDY);
    tidy.key(link.names.meta());
    tidy.number(STEP);
    link.call(&open, &tidy).await?;
    runs::sweep(link).await?;

    let mut scan = scan(link.swept_to.load(Relaxed));
    scan.arg("MATCH").arg(link.names.values());
    let (next, keys) = page(command(link, &open, &scan).await?)?;
    let mut removed = 0;
    if !keys.is_empty() {
        let mut call = Call::new(&SWEEP);
        call.key(link.names.meta());
        for key in keys {
            call.key(key);
        }
        call.number(link.names.skip());
        call.number(rows_max);
        removed =
            u64::try_from(reply::number(&link.call(&open, &call).await?)?).unwrap_or_default();
    }
    if removed < rows_max {
        link.swept_to.store(next, Relaxed);
    }
    Ok(removed)
}

async fn command(link: &Link, open: &Arc<Open>, command: &Cmd) -> Result<Value, Fault> {
    open.command(command).await.inspect_err(|fault| link.note(open, fault))
}

fn scan(from: u64) -> Cmd {
    let mut command = cmd("SCAN");
    command.arg(from).arg("COUNT").arg(STEP);
    command
}

/// Where to go on, 0 if that is all, and some keys.
fn page(answer: Value) -> Result<(u64, Vec<Vec<u8>>), Fault> {
    let [next, keys] = reply::listed(answer)?;
    let next = reply::text(next)?.parse().map_err(|_no_number| Fault::Unreadable)?;
    let keys = reply::list(keys)?.into_iter().map(reply::bytes);
    Ok((next, keys.collect::<Result<_, _>>()?))
}

/// How many keys are looked at to tell how many of them are values.
const SAMPLE: usize = 5_000;

/// How much the servers hold that some links lead to. The values are counted if the server has few
/// keys, else estimated from some. The bytes are all that the server uses, for whatever.
pub(super) async fn size(links: &[Arc<Link>]) -> Result<TierSize, Fault> {
    let (mut size, mut addresses) = (TierSize::default(), HashSet::new());
    for link in links {
        let open = link.open().await?;
        if addresses.insert(open.address.clone()) {
            size.bytes += bytes(link, &open).await?;
            size.entries += entries(link, &open).await?;
        }
    }
    Ok(size)
}

async fn bytes(link: &Link, open: &Arc<Open>) -> Result<u64, Fault> {
    let mut info = cmd("INFO");
    info.arg("memory");
    let info = reply::text(command(link, open, &info).await?)?;
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    used.and_then(|used| used.trim().parse().ok()).ok_or(Fault::Unreadable)
}

async fn entries(link: &Link, open: &Arc<Open>) -> Result<u64, Fault> {
    let (mut next, mut seen, mut values) = (0, 0, 0);
    loop {
        let keys;
        (next, keys) = page(command(link, open, &scan(next)).await?)?;
        seen += keys.len();
        values += keys.iter().filter(|key| is_value(&link.shared.namespace, key)).count();
        if next == 0 {
            return Ok(u64::try_from(values).unwrap_or_default());
        }
        if seen >= SAMPLE {
            break;
        }
    }
    // A scan goes through the keys in the order of their hashes: any part of it is a fair sample.
    let all = u64::try_from(reply::number(&command(link, open, &cmd("DBSIZE")).await?)?);
    let [values, seen] = [values, seen].map(|count| u128::try_from(count).unwrap_or_default());
    let entries = u128::from(all.unwrap_or_default()) * values / seen.max(1);
    Ok(u64::try_from(entries).unwrap_or(u64::MAX))
}
