//! Ports for servers.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::process;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

use super::LabError;

/// Below those that the system gives to clients, so that while a server is down nobody takes its
/// port by chance: not even a client that looks for it, which may otherwise meet itself there. And
/// low enough for the second port of a node of a Redis cluster, [`BUS`] above the first.
const PORTS: Range<u16> = 12_000..22_000;

/// From the port of a node of a Redis cluster to the one for its peers.
pub(super) const BUS: u16 = 10_000;

/// Where this process has got to; processes begin at different places.
static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(first()));

/// An address of the loopback interface that nobody listens at, and that this process has not
/// been given before, as long as there are others.
pub(super) fn free() -> Result<SocketAddr, LabError> {
    let count = PORTS.end - PORTS.start;
    let next = || PORTS.start + NEXT.fetch_add(1, Relaxed) % count;
    let found = PORTS.map(|_| next()).find(|port| is_free(*port) && is_free(port + BUS));
    found.map(at).ok_or(LabError::State("no port is free"))
}

fn first() -> u16 {
    let [low, high, ..] = process::id().wrapping_mul(97).to_le_bytes();
    u16::from_le_bytes([low, high])
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(at(port)).is_ok()
}

fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_not_given() {
        let mut held = Vec::new();
        for _ in 0..20 {
            let address = free().unwrap();
            assert!(PORTS.contains(&address.port()), "{address}");
            held.push(TcpListener::bind(address).unwrap());
        }
    }
}
