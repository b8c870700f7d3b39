//! What can happen to an L2.

use std::time::Duration;

use super::WINDOW;
use super::store::Kind;

/// What happens to an L2, and for how many seconds if that is part of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// The server is killed, and comes back with what it had acknowledged.
    Killed,
    /// The server is stopped where it stands.
    Frozen(u64),
    /// The server is killed, and comes back with nothing.
    Emptied,
    /// The server, or the file, is replaced by an older copy of itself.
    SetBack,
    /// All connections are reset, again and again.
    Reset,
    /// Nothing gets through.
    BlackHole,
    /// Requests do not get through.
    NoRequests,
    /// Replies do not get through.
    NoReplies,
    /// Everything takes half a second longer.
    Slow,
    /// Now and then a connection falls silent after a request.
    RepliesLost,
    /// Whoever listens for changes is cut off, again and again.
    Deaf,
    /// There is no room for more.
    Full,
    /// The user of the engines is shut out.
    Revoked,
    /// Nothing can be written; in a file, an older one that has taken its name.
    ReadOnly,
    /// One engine is cut off, and the others are not.
    Split,
    /// Another process writes to the file and does not come to an end.
    Locked,
    /// Another file takes the name, and is empty.
    Replaced,
    /// The log of the file is removed while it is used.
    WalRemoved,
}

impl Fault {
    const OF_A_FILE: [Self; 6] =
        [Self::Locked, Self::Replaced, Self::SetBack, Self::ReadOnly, Self::Full, Self::WalRemoved];

    const OF_A_SERVER: [Self; 16] = [
        Self::Killed,
        Self::Frozen(1),
        Self::Frozen(5),
        Self::Frozen(30),
        Self::Emptied,
        Self::SetBack,
        Self::Reset,
        Self::BlackHole,
        Self::NoRequests,
        Self::NoReplies,
        Self::Slow,
        Self::RepliesLost,
        Self::Deaf,
        Self::Revoked,
        Self::ReadOnly,
        Self::Split,
    ];

    pub(super) fn all(kind: Kind) -> Vec<Self> {
        match kind {
            Kind::Sqlite => Self::OF_A_FILE.to_vec(),
            // Its disk is not ours to fill.
            Kind::Postgres => Self::OF_A_SERVER.to_vec(),
            Kind::FarRedis => vec![Self::BlackHole, Self::Split],
            Kind::Redis => [&Self::OF_A_SERVER[..], &[Self::Full]].concat(),
        }
    }

    /// How long it lasts: if it does not say so, for some windows.
    pub(super) fn lasts(self) -> Duration {
        if let Self::Frozen(secs) = self { Duration::from_secs(secs) } else { 3 * WINDOW }
    }

    /// Too long to happen in every run of the tests.
    pub(super) fn is_long(self) -> bool {
        self.lasts() > Duration::from_secs(10)
    }
}
