//! Asking a cluster who serves which slots.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use redis::{ConnectionAddr, ConnectionInfo, Value, cmd};
use tokio::time::Instant;

use super::super::fault::Fault;
use super::super::reply;
use super::{addresses, connect, moved};

/// The nodes of a cluster.
#[derive(Debug)]
pub(in crate::tier::redis) struct Cluster {
    seeds: Vec<ConnectionInfo>,
    /// Whoever looks for a node anew asks for all, and the others wait for that.
    asking: tokio::sync::Mutex<()>,
    map: Mutex<Option<Arc<Map>>>,
}

/// Who served which slots at a time.
#[derive(Debug)]
struct Map {
    asked_at: Instant,
    owners: Vec<Owner>,
}

/// The node that serves some slots.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Owner {
    first: u16,
    last: u16,
    host: String,
    port: u16,
}

/// The nodes that are asked at a time: those known, beginning with some that were given.
const NODES_ASKED: usize = 16;

impl Cluster {
    pub(super) fn new(seeds: Vec<ConnectionInfo>) -> Self {
        Self { seeds, asking: tokio::sync::Mutex::default(), map: Mutex::default() }
    }

    pub(super) fn describe(&self) -> String {
        addresses(self.seeds.iter())
    }

    pub(super) async fn locate(
        &self,
        slot: u16,
        not_before: Instant,
        timeout: Duration,
    ) -> Result<ConnectionInfo, Fault> {
        let map = self.map(not_before, timeout).await?;
        let serves = |owner: &&Owner| (owner.first..=owner.last).contains(&slot);
        let owner = map.owners.iter().find(serves).ok_or(Fault::NoOwner)?;
        let seed = self.seeds.first().ok_or(Fault::NoOwner)?;
        Ok(moved(seed, owner.host.clone(), owner.port))
    }

    async fn map(&self, not_before: Instant, timeout: Duration) -> Result<Arc<Map>, Fault> {
        let _one_at_a_time = self.asking.lock().await;
        let known = self.map.lock().clone();
        if let Some(map) = known.clone().filter(|map| map.asked_at >= not_before) {
            return Ok(map);
        }
        let asked_at = Instant::now();
        let owners = self.ask(&self.nodes(known.as_deref()), timeout).await?;
        let map = Arc::new(Map { asked_at, owners });
        *self.map.lock() = Some(Arc::clone(&map));
        Ok(map)
    }

    fn nodes(&self, known: Option<&Map>) -> Vec<ConnectionInfo> {
        let mut nodes = self.seeds.clone();
        if let (Some(map), Some(seed)) = (known, self.seeds.first()) {
            for owner in &map.owners {
                let node = moved(seed, owner.host.clone(), owner.port);
                if !nodes.iter().any(|other| other.addr() == node.addr()) {
                    nodes.push(node);
                }
            }
        }
        // A cluster whose seeds are gone, or not up to date, must not be asked there for ever.
        fastrand::shuffle(&mut nodes);
        nodes.truncate(NODES_ASKED);
        nodes
    }

    /// What the first node says that answers.
    async fn ask(&self, nodes: &[ConnectionInfo], timeout: Duration) -> Result<Vec<Owner>, Fault> {
        let mut answers: FuturesUnordered<_> =
            nodes.iter().map(|node| slots(node, timeout)).collect();
        let mut last_fault = Fault::NoOwner;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(owners) if !owners.is_empty() => return Ok(owners),
                Ok(_) => {}
                Err(fault) => last_fault = fault,
            }
        }
        Err(last_fault)
    }
}

async fn slots(node: &ConnectionInfo, timeout: Duration) -> Result<Vec<Owner>, Fault> {
    let mut connection = connect(node, timeout).await?;
    let answer: Value = cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
    let own_host = match node.addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.as_str(),
        _ => "",
    };
    reply::list(answer)?.into_iter().map(|range| owner(range, own_host)).collect()
}

/// Reads `[first, last, [host, port, ..], ..]`, in which the first node is the master. One that
/// does not know its host is at the one where it was asked.
fn owner(range: Value, own_host: &str) -> Result<Owner, Fault> {
    let mut range = reply::list(range)?.into_iter();
    let mut next = || range.next().ok_or(Fault::Unreadable);
    let (first, last, master) = (next()?, next()?, next()?);
    let mut master = reply::list(master)?.into_iter();
    let mut next = || master.next().ok_or(Fault::Unreadable);
    let (host, port) = (next()?, next()?);
    let host = match host {
        Value::Nil => String::new(),
        host => reply::text(host)?,
    };
    let small =
        |value: &Value| reply::number(value)?.try_into().map_err(|_too_large| Fault::Unreadable);
    Ok(Owner {
        first: small(&first)?,
        last: small(&last)?,
        host: if host.is_empty() || host == "?" { own_host.to_owned() } else { host },
        port: small(&port)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn the_owner_of_slots_is_read() {
        let node =
            |host| Value::Array(vec![host, Value::Int(7000), text("id"), Value::Array(vec![])]);
        let range = |host| {
            Value::Array(vec![Value::Int(0), Value::Int(16383), node(host), node(text("x"))])
        };
        for (host, expected) in [
            (text("10.0.0.1"), "10.0.0.1"),
            (text(""), "seed"),
            (text("?"), "seed"),
            (Value::Nil, "seed"),
        ] {
            let expected = Owner { first: 0, last: 16383, host: expected.to_owned(), port: 7000 };
            assert_eq!(owner(range(host), "seed").unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for range in [
            Value::Nil,
            Value::Array(vec![Value::Int(0), Value::Int(1)]),
            Value::Array(vec![
                Value::Int(0),
                Value::Int(70000),
                Value::Array(vec![text("x"), Value::Int(1)]),
            ]),
        ] {
            assert!(owner(range, "seed").is_err());
        }
    }
}
