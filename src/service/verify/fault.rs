//! What can be made to fail.

use serde::Serialize;

use super::store::Store;

/// What can be made to fail.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fault {
    /// The network resets all connections and refuses new ones.
    Cut,
    /// It resets all connections.
    Reset,
    /// Requests do not arrive.
    NoRequests,
    /// Replies do not arrive.
    NoReplies,
    /// Everything takes half a second longer.
    Delay,
    /// Some requests arrive, and the replies to them do not.
    LoseReplies,
    /// The server is stopped where it stands.
    FreezeServer,
    /// The server is killed, and started again with what it had written.
    KillServer,
    /// The server is killed, and started again with nothing.
    EmptyServer,
    /// A node is stopped where it stands.
    FreezeNode,
    /// A node is killed, and another one started in its place.
    KillNode,
    /// Somebody else writes to the file and does not come to an end.
    LockFile,
    /// Another file takes its name: a new one.
    ReplaceFile,
    /// Another file takes its name: a copy of it that was made before.
    RestoreFile,
}

/// What of the whole fails. Parts fail independently of each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Network,
    /// The server, or the file.
    Store,
    Node,
}

impl Fault {
    const NETWORK: [Self; 6] =
        [Self::Cut, Self::Reset, Self::NoRequests, Self::NoReplies, Self::Delay, Self::LoseReplies];
    const SERVER: [Self; 3] = [Self::FreezeServer, Self::KillServer, Self::EmptyServer];
    const NODE: [Self; 2] = [Self::FreezeNode, Self::KillNode];
    const FILE: [Self; 3] = [Self::LockFile, Self::ReplaceFile, Self::RestoreFile];

    /// What can fail with this L2: what is not ours is let be.
    pub(super) fn all(store: &Store) -> Vec<Self> {
        let has = |is_so: bool, faults: &[Self]| if is_so { faults.to_vec() } else { Vec::new() };
        [
            has(store.upstream().is_some(), &Self::NETWORK),
            has(store.has_own_server(), &Self::SERVER),
            has(store.own_file().is_some(), &Self::FILE),
            Self::NODE.to_vec(),
        ]
        .concat()
    }

    /// What of the whole it is that fails.
    pub(super) fn part(self) -> Part {
        if Self::NETWORK.contains(&self) {
            Part::Network
        } else if Self::NODE.contains(&self) {
            Part::Node
        } else {
            Part::Store
        }
    }

    /// The shortest and the longest time for which it lasts, in milliseconds.
    pub(super) const fn lasts_millis(self) -> (u64, u64) {
        match self {
            Self::Reset => (0, 1),
            Self::FreezeNode => (3_000, 10_000),
            Self::KillServer | Self::EmptyServer | Self::KillNode => (50, 2_000),
            Self::LockFile => (500, 1_500),
            Self::ReplaceFile => (0, 100),
            _ => (1_000, 5_000),
        }
    }
}
