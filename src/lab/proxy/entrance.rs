//! Where connections come in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::connection::{self, Connection};
use super::faults::Network;
use crate::task::Tasks;

/// How often it is tried to listen again, where a process has taken the port meanwhile.
const LISTEN_EVERY: Duration = Duration::from_millis(5);

/// Accepts connections and passes them on, until the tasks are stopped. Tells whether it accepts
/// new ones at present, which it does not while the network is cut.
pub(super) fn open(
    listener: TcpListener,
    address: SocketAddr,
    network: &Network,
    tasks: &Arc<Tasks>,
) -> watch::Receiver<bool> {
    let (listening, is_listening) = watch::channel(true);
    let entrance = Entrance { address, network: network.clone(), tasks: Arc::clone(tasks) };
    let stopped = tasks.stopped();
    tasks.spawn_loop(async move {
        tokio::select! {
            biased;
            () = stopped => {}
            () = entrance.run(listener, &listening) => {}
        }
    });
    is_listening
}

struct Entrance {
    address: SocketAddr,
    network: Network,
    tasks: Arc<Tasks>,
}

impl Entrance {
    async fn run(&self, mut listener: TcpListener, listening: &watch::Sender<bool>) {
        let mut faults = self.network.faults();
        loop {
            tokio::select! {
                () = self.admit_all(&listener) => {}
                _cut = faults.wait_for(|faults| faults.is_cut) => {}
            }
            drop(listener);
            listening.send_replace(false);
            drop(faults.wait_for(|faults| !faults.is_cut).await);
            listener = self.listen().await;
            listening.send_replace(true);
        }
    }

    async fn admit_all(&self, listener: &TcpListener) {
        loop {
            // A client that has gone away again is no reason to stop.
            if let Ok((client, _)) = listener.accept().await {
                self.admit(client);
            }
        }
    }

    fn admit(&self, client: TcpStream) {
        let Some(connection) = Connection::new(&self.network) else {
            connection::reset(&client);
            return;
        };
        let stopped = self.tasks.stopped();
        self.tasks.spawn_loop(async move {
            tokio::select! {
                biased;
                () = stopped => {}
                () = connection.carry(client) => {}
            }
        });
    }

    async fn listen(&self) -> TcpListener {
        loop {
            if let Ok(listener) = TcpListener::bind(self.address).await {
                return listener;
            }
            tokio::time::sleep(LISTEN_EVERY).await;
        }
    }
}
