//! The end of a service under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::served::{COMMON, SHOP, Served, answer, make_shop};
use crate::waiting::{IN_TIME, until};

/// What came of the requests of all clients.
#[derive(Default)]
struct Requests {
    answered: AtomicU64,
    /// Sent as a whole, and answered not at all or in part.
    lost: AtomicU64,
}

/// How a client uses its connections.
#[derive(Clone, Copy)]
enum Use {
    /// One after the other, for as long as it may.
    Keep,
    /// A new one for each request.
    Once,
}

/// Sends one request after the other, until nobody listens any more.
async fn ask(address: String, how: Use, requests: Arc<Requests>) {
    let close = match how {
        Use::Keep => "",
        Use::Once => "connection: close\r\n",
    };
    let request = format!("GET /v1/user/7 HTTP/1.1\r\nhost: {address}\r\n{close}\r\n");
    while let Ok(mut stream) = TcpStream::connect(&address).await {
        let mut is_new = true;
        while stream.write_all(request.as_bytes()).await.is_ok() {
            is_new = false;
            let Some(head) = read_answer(&mut stream).await else {
                requests.lost.fetch_add(1, Ordering::Relaxed);
                return;
            };
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            requests.answered.fetch_add(1, Ordering::Relaxed);
            if head.contains("connection: close") {
                break;
            }
        }
        // Who has got through is heard: it is not known to the client that it was not.
        if is_new {
            requests.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A whole answer; `None` if it does not come.
async fn read_answer(stream: &mut TcpStream) -> Option<String> {
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        answer.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        if body.len() >= length.parse::<usize>().ok()? {
            return Some(head.to_owned());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_when_it_is_told_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let settings = format!("{COMMON}[l2.sqlite]\npath = \"l2.db\"\n{SHOP}");
    // What is lost is so within a few microseconds, so it is looked at more than once.
    for _ in 0..3 {
        let mut served = Served::start(folder.path(), &settings, &[]);
        assert_eq!(answer(served.request("GET", "/v1/user/7")).await.0, 200);
        let requests = Arc::new(Requests::default());
        let mut clients = JoinSet::new();
        for how in [[Use::Keep; 8], [Use::Once; 8]].concat() {
            clients.spawn(ask(served.address().to_owned(), how, Arc::clone(&requests)));
        }
        let answered = || requests.answered.load(Ordering::Relaxed);
        until("they are asking", async || answered() > 2_000).await;
        served.signal("TERM");
        // It says at once that it is not ready any more, and answers all the same.
        served.logged("\"message\":\"ending\"").await;
        let before = answered();
        tokio::time::timeout(IN_TIME, clients.join_all()).await.unwrap();
        assert_eq!(requests.lost.load(Ordering::Relaxed), 0, "of {}", answered());
        assert!(answered() > before, "it answered nothing any more");
        assert!(served.ended().success(), "{}", served.log());
    }
}
