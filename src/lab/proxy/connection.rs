//! One connection through a proxy.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use tokio::net::TcpStream;

use super::faults::{Faults, Network, Way};
use super::pump::Pump;
use super::traffic::Open;

/// A connection of a client, and the one to the server that belongs to it.
#[derive(Debug)]
pub(super) struct Connection {
    network: Network,
    /// The cuts and heals before it.
    born: (u64, u64),
    /// Whether a reply was lost: then none may follow.
    is_mute: AtomicBool,
    _open: Open,
}

impl Connection {
    /// A new connection, unless the network is cut.
    pub(super) fn new(network: &Network) -> Option<Self> {
        let faults = network.faults();
        let faults = faults.borrow();
        if faults.is_cut {
            return None;
        }
        let (born, is_mute) = ((faults.cuts, faults.heals), AtomicBool::new(false));
        Some(Self { network: network.clone(), born, is_mute, _open: Open::new(&network.traffic) })
    }

    /// Passes bytes both ways until both sides have ended, or the connection breaks.
    pub(super) async fn carry(self, mut client: TcpStream) {
        let connected = tokio::select! {
            () = self.torn() => return reset(&client),
            connected = self.connect(&client) => connected,
        };
        let Ok(mut server) = connected else { return reset(&client) };
        let ended = tokio::select! {
            () = self.torn() => Err(io::ErrorKind::ConnectionReset.into()),
            ended = self.pass(&mut client, &mut server) => ended,
        };
        if ended.is_err() {
            reset(&client);
            reset(&server);
        }
    }

    /// Connects to the server, as soon as packets get there and back.
    async fn connect(&self, client: &TcpStream) -> io::Result<TcpStream> {
        // The other side is in `self`.
        drop(self.network.faults().wait_for(Faults::can_connect).await);
        let server = TcpStream::connect(self.network.upstream).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        Ok(server)
    }

    async fn pass(&self, client: &mut TcpStream, server: &mut TcpStream) -> io::Result<()> {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let pump = |way| Pump { way, network: &self.network, is_mute: &self.is_mute };
        let (up, down) = (pump(Way::ToServer), pump(Way::ToClient));
        let (up, down) = (up.run(from_client, to_server), down.run(from_server, to_client));
        tokio::try_join!(up, down).map(|((), ())| ())
    }

    /// Ends when the connection has to be reset.
    async fn torn(&self) {
        let is_torn = |faults: &Faults| {
            let (cuts, heals) = self.born;
            faults.cuts != cuts || faults.heals != heals && self.is_mute.load(Relaxed)
        };
        drop(self.network.faults().wait_for(is_torn).await);
    }
}

/// Lets the peer see a reset when the stream is dropped.
pub(super) fn reset(stream: &TcpStream) {
    // If that fails, the peer sees an end instead.
    drop(stream.set_zero_linger());
}
