//! Servers of one's own, and the network before them.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

mod cluster;
mod death;
mod postgres;
mod proxy;
mod redis;
mod sentinel;

/// Long enough for an answer of a server that runs on this machine, however busy that is.
const IN_TIME: Duration = Duration::from_mins(1);

/// Short enough to wait for in a test, and long after an answer would have come.
const A_WHILE: Duration = Duration::from_millis(150);

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// What a Redis server answers to this line, if it has the time.
async fn ask(stream: &mut TcpStream, line: &str) -> std::io::Result<String> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    hear(stream).await
}

async fn hear(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut answer = vec![0; 1024];
    let read = tokio::time::timeout(IN_TIME, stream.read(&mut answer)).await??;
    if read == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8(answer[..read].to_vec()).unwrap())
}

/// Whether nothing comes for a while.
async fn is_silent(stream: &mut TcpStream) -> bool {
    tokio::time::timeout(A_WHILE, stream.read(&mut [0; 1])).await.is_err()
}

/// Waits until it is so.
async fn until(is_so: impl Fn() -> bool) {
    let waited = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(IN_TIME, waited).await.unwrap();
}
