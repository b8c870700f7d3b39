//! Looking values up, and giving permits for those that are not there.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;

use super::fault::Fault;
use super::link::Link;
use super::reply;
use super::script::{BEGIN, Call};
use super::value::{millis, stored};
use crate::tier::{Ask, Begun, Want};

/// How many keys one script looks up: it holds up everything else on the server.
const KEYS_MAX: usize = 250;

/// Looks up keys of one domain.
pub(super) async fn begin(
    link: Arc<Link>,
    asks: Vec<Ask<'_>>,
    permit_for: Duration,
) -> Result<Vec<Begun>, Fault> {
    let open = link.open().await?;
    let mut begun = Vec::with_capacity(asks.len());
    for asks in asks.chunks(KEYS_MAX) {
        let mut call = Call::new(&BEGIN);
        call.key(link.names.meta());
        call.number(millis(permit_for));
        call.number(link.names.skip());
        for ask in asks {
            call.key(link.names.value(ask.key));
            call.key(link.names.permit(ask.key));
            call.arg(packed(ask));
        }
        let mut answers = reply::list(link.call(&open, &call).await?)?.into_iter();
        let now = reply::number(&answers.next().ok_or(Fault::Unreadable)?)?;
        open.note_time(now);
        for answer in answers {
            begun.push(read(answer, now)?);
        }
    }
    Ok(begun)
}

fn packed(ask: &Ask<'_>) -> Vec<u8> {
    let want = match ask.want {
        Want::Value => b'v',
        Want::Fresh => b'f',
        Want::Permit => b'p',
        Want::Copy => b'c',
    };
    [&[want][..], &ask.permit.0.to_be_bytes()].concat()
}

fn read(answer: Value, now: i64) -> Result<Begun, Fault> {
    match answer {
        Value::Int(0) => Ok(Begun::Permit),
        Value::Int(1) => Ok(Begun::Busy),
        Value::Int(2) => Ok(Begun::Miss),
        answer => Ok(Begun::Hit(stored(reply::bytes(answer)?, now)?)),
    }
}
