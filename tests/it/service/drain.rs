//! The end of a service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::served::{COMMON, SHOP, Served, answer, make_shop};

/// What came of the requests of a client.
#[derive(Default)]
struct Requests {
    answered: AtomicU64,
    /// Sent as a whole, and answered not at all or in part.
    lost: AtomicU64,
    is_over: AtomicBool,
}

/// Sends requests over connections that are kept, one after the other, until nobody listens any more.
async fn ask(address: String, requests: Arc<Requests>) {
    let request = format!("GET /v1/user/7 HTTP/1.1\r\nhost: {address}\r\n\r\n");
    while let Ok(mut stream) = TcpStream::connect(&address).await {
        while stream.write_all(request.as_bytes()).await.is_ok() {
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
    }
    requests.is_over.store(true, Ordering::Relaxed);
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
    let memory = "[engine]\nprefix = \"shop\"\nmemory = { file = \"memory.bin\" }\n[l2.sqlite]\npath = \"l2.db\"\n";
    let mut served = Served::start(folder.path(), &format!("{COMMON}{memory}{SHOP}"), &[]);
    assert_eq!(answer(served.request("GET", "/v1/user/7")).await.0, 200);
    let requests = Arc::new(Requests::default());
    let mut clients = JoinSet::new();
    for _ in 0..16 {
        clients.spawn(ask(served.address().to_owned(), Arc::clone(&requests)));
    }
    while requests.answered.load(Ordering::Relaxed) < 2_000 {
        tokio::task::yield_now().await;
    }
    served.signal("TERM");
    // It is not ready any more, and answers all the same, until those who look have seen it.
    while served.get("/readyz").await.0 == 200 {}
    let before = requests.answered.load(Ordering::Relaxed);
    clients.join_all().await;
    assert_eq!(requests.lost.load(Ordering::Relaxed), 0);
    assert!(requests.answered.load(Ordering::Relaxed) > before, "it answered nothing any more");
    assert!(served.ended().success(), "{}", served.log());
    assert!(folder.path().join("memory.bin").exists(), "what was learned was not written");
}
