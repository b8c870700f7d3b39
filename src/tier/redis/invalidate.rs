//! Making values void, or stale.

use std::sync::Arc;

use super::changer::Changer;
use super::fault::Fault;
use super::link::Link;
use super::script::{Call, EXPIRE, INVALIDATE};
use super::value::{millis, version};
use crate::key::Pattern;
use crate::tier::{Invalidation, Lag, Row, Selector};

/// How many changes one script makes.
const CHANGES_MAX: usize = 500;

/// Voids values and permits of one domain.
pub(super) async fn invalidate(
    link: Arc<Link>,
    invalidations: Vec<Invalidation<'_>>,
    changer: Changer,
) -> Result<(), Fault> {
    // Of a domain that nothing concerns, nothing is asked: it may be down.
    if invalidations.is_empty() {
        return Ok(());
    }
    let open = link.open().await?;
    for invalidations in invalidations.chunks(CHANGES_MAX) {
        let mut call = Call::new(&INVALIDATE);
        call.key(link.names.meta());
        call.key(link.names.log());
        changer.introduce(&mut call);
        for invalidation in invalidations {
            add(&mut call, &link, invalidation);
        }
        link.call_confirmed(&open, &call).await?;
    }
    Ok(())
}

fn add<'a>(call: &mut Call<'a>, link: &Link, invalidation: &Invalidation<'a>) {
    let row = Row::from(readable(invalidation.selector));
    call.arg(row.kind.as_bytes());
    call.arg(row.subject.as_bytes());
    if let Selector::Key(key) = invalidation.selector {
        call.key(link.names.value(key));
        call.key(link.names.permit(key));
        call.arg(invalidation.lag.map(packed).unwrap_or_default());
    } else {
        call.arg(row.detail.as_bytes());
    }
}

/// A pattern that nobody can read may stand for any key of its resource.
fn readable(selector: Selector<'_>) -> Selector<'_> {
    match selector {
        Selector::Pattern { resource, pattern } if pattern.parse::<Pattern>().is_err() => {
            Selector::Resource(resource)
        }
        selector => selector,
    }
}

/// How long it lasts, in milliseconds, and the demand on versions.
fn packed(lag: Lag) -> Vec<u8> {
    [&millis(lag.lasts).to_be_bytes()[..], &version(lag.min_version, b'n')].concat()
}

/// Makes values of one domain stale, and voids their permits.
pub(super) async fn expire(
    link: Arc<Link>,
    keys: Vec<&str>,
    changer: Changer,
) -> Result<Vec<()>, Fault> {
    let open = link.open().await?;
    for keys in keys.chunks(CHANGES_MAX) {
        let mut call = Call::new(&EXPIRE);
        call.key(link.names.meta());
        call.key(link.names.log());
        changer.introduce(&mut call);
        call.number(link.names.skip());
        for key in keys {
            call.key(link.names.value(key));
            call.key(link.names.permit(key));
        }
        link.call_confirmed(&open, &call).await?;
    }
    Ok(vec![(); keys.len()])
}
