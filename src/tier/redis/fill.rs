//! Storing values: those whose permits still stand, and those that replace what is there.

use std::sync::Arc;

use redis::Value;

use super::changer::Changer;
use super::fault::Fault;
use super::invalidate::invalidate;
use super::link::Link;
use super::open::Open;
use super::reply;
use super::script::{Call, FILL, PUT, RELEASE};
use super::value::about;
use crate::tier::{Fill, Filled, Mark, Permit, Selector};

/// How many values, and how many bytes of them, one script stores.
const VALUES_MAX: usize = 250;
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Stores values of one domain whose permits still stand.
pub(super) async fn fill(link: Arc<Link>, fills: Vec<Fill<'_>>) -> Result<Vec<Filled>, Fault> {
    let open = link.open().await?;
    let mut filled = Vec::with_capacity(fills.len());
    for fills in portions(&fills) {
        let mut call = Call::new(&FILL);
        call.key(link.names.meta());
        call.number(link.names.skip());
        add(&mut call, &link, fills);
        filled.extend(read(link.call(&open, &call).await?)?);
    }
    Ok(filled)
}

/// Invalidates keys of one domain, and stores their new values if nobody else has changed them
/// since.
pub(super) async fn put(
    link: Arc<Link>,
    puts: Vec<Fill<'_>>,
    changer: Changer,
    since: Option<Mark>,
) -> Result<Vec<Filled>, Fault> {
    let open = link.open().await?;
    let mut filled = Vec::with_capacity(puts.len());
    for puts in portions(&puts) {
        match put_some(&link, &open, puts, &changer, since).await {
            // They are at least invalidated, which takes no memory.
            Err(fault) if fault.is_out_of_memory() => {
                let keys = puts.iter().map(|put| Selector::Key(put.key).into());
                invalidate(Arc::clone(&link), keys.collect(), changer.clone()).await?;
                filled.extend(puts.iter().map(|_| Filled::Refused));
            }
            some => filled.extend(some?),
        }
    }
    Ok(filled)
}

async fn put_some(
    link: &Link,
    open: &Arc<Open>,
    puts: &[Fill<'_>],
    changer: &Changer,
    since: Option<Mark>,
) -> Result<Vec<Filled>, Fault> {
    let since = since.filter(|since| since.incarnation == open.life);
    let mut call = Call::new(&PUT);
    call.key(link.names.meta());
    call.key(link.names.log());
    changer.introduce(&mut call);
    call.number(link.names.skip());
    call.arg(since.map(|since| since.position.to_string()).unwrap_or_default().into_bytes());
    add(&mut call, link, puts);
    read(link.call_confirmed(open, &call).await?)
}

/// Parts that are not too large for one script.
fn portions<'a, 'b>(fills: &'a [Fill<'b>]) -> impl Iterator<Item = &'a [Fill<'b>]> {
    let mut rest = fills;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |fill: &&Fill<'_>| {
            bytes += fill.value.len();
            bytes <= BYTES_MAX
        };
        let count = rest.iter().take(VALUES_MAX).take_while(fits).count();
        let (portion, later) = rest.split_at_checked(count.max(1))?;
        rest = later;
        Some(portion)
    })
}

fn add<'a>(call: &mut Call<'a>, link: &Link, fills: &[Fill<'a>]) {
    for fill in fills {
        call.key(link.names.value(fill.key));
        call.key(link.names.permit(fill.key));
        call.arg(about(fill));
        call.arg(fill.value);
    }
}

fn read(answer: Value) -> Result<Vec<Filled>, Fault> {
    let filled = |answer| match answer {
        Value::Int(0) => Ok(Filled::Refused),
        Value::Int(1) => Ok(Filled::Stored),
        _ => Err(Fault::Unreadable),
    };
    reply::list(answer)?.into_iter().map(filled).collect()
}

/// Takes permits of one domain that will not be used.
pub(super) async fn release(
    link: Arc<Link>,
    permits: Vec<(&str, Permit)>,
) -> Result<Vec<()>, Fault> {
    let open = link.open().await?;
    for permits in permits.chunks(VALUES_MAX) {
        let mut call = Call::new(&RELEASE);
        call.key(link.names.meta());
        for (key, permit) in permits {
            call.key(link.names.permit(key));
            call.arg(permit.0.to_be_bytes().to_vec());
        }
        link.call(&open, &call).await?;
    }
    Ok(vec![(); permits.len()])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fill(value: &[u8]) -> Fill<'_> {
        let (age, fresh_for, keep_for) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        let (key, permit, tags, version) = ("p:user:1", Permit(0), &[][..], None);
        Fill { key, permit, value, age, fresh_for, keep_for, tags, version }
    }

    #[test]
    fn what_is_stored_is_portioned_by_count_and_by_size() {
        let large = vec![0; BYTES_MAX / 2 + 1];
        let huge = vec![0; BYTES_MAX * 2];
        let small = fill(b"");
        let portions = |fills: &[Fill<'_>]| portions(fills).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!(portions(&[]), [0; 0]);
        assert_eq!(portions(&[small; 3]), [3]);
        assert_eq!(portions(&[small; VALUES_MAX + 1]), [VALUES_MAX, 1]);
        assert_eq!(portions(&[fill(&large); 3]), [1, 1, 1]);
        assert_eq!(portions(&[small, fill(&huge), small]), [1, 1, 1]);
    }
}
