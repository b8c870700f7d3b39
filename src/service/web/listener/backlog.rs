//! What the system does with connections before they are accepted.

use std::io;

use rustix::io::Errno;
#[cfg(target_os = "linux")]
use socket2::{SockFilter, SockRef};
use tokio::net::TcpListener;

/// Has the system let nobody begin to connect any more; those who have begun get through. Gives whether
/// it could be told so.
///
/// When a listener is closed, the system resets the connections that wait to be accepted, also those
/// whose client has sent a request in the meantime. Who begins to connect now is not answered, tries
/// again a second later, and is refused, having sent nothing.
#[cfg(target_os = "linux")]
pub(super) fn refuse_more(listener: &TcpListener) -> bool {
    /// Where the flags are in the header of TCP, and the one that begins a connection.
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    // Instructions of the filters of packets: load a byte, jump if bits of it are set, give a length.
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const GIVE: u16 = 0x06;
    let filter = [
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(JUMP_IF_SET, 0, 1, SYN),
        SockFilter::new(GIVE, 0, 0, 0),
        SockFilter::new(GIVE, 0, 0, u32::MAX),
    ];
    let attached = SockRef::from(listener).attach_filter(&filter);
    if let Err(error) = &attached {
        tracing::debug!(%error, "connections that begin now may be reset");
    }
    attached.is_ok()
}

/// Has the system let nobody begin to connect any more, which it cannot be told here.
#[cfg(not(target_os = "linux"))]
pub(super) const fn refuse_more(_listener: &TcpListener) -> bool {
    false
}

/// Whether accepting failed for want of something that only comes back when others go, rather than
/// because of the one connection.
pub(super) fn is_exhausted(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS)
    )
}

/// Whether accepting has come to its end: nobody waits, or nobody else could be accepted.
pub(super) fn is_over(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || is_exhausted(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn who_has_connected_is_heard_and_nobody_else_gets_through() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let before = std::net::TcpStream::connect(address).unwrap();
        assert!(refuse_more(&listener));
        let span = std::time::Duration::from_millis(50);
        assert!(std::net::TcpStream::connect_timeout(&address, span).is_err());
        let (_stream, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, before.local_addr().unwrap());
    }

    #[test]
    fn only_what_is_used_up_is_waited_for() {
        for (errno, is_waited_for) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::NOMEM, true),
            (Errno::NOBUFS, true),
            (Errno::CONNABORTED, false),
            (Errno::PROTO, false),
            (Errno::PERM, false),
        ] {
            assert_eq!(is_exhausted(&errno.into()), is_waited_for, "{errno:?}");
        }
    }
}
