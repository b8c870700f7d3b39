//! More than there is room for.

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::Connection as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{PATIENCE, assert_well, start};
use crate::served::{COMMON, Served, make_shop};

const ASKED: &[u8] = b"GET /v1/user/7 HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A connection over which an answer has come.
async fn answered(served: &Served) -> TcpStream {
    let mut stream = TcpStream::connect(served.address()).await.unwrap();
    stream.write_all(ASKED).await.unwrap();
    assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
    stream
}

#[tokio::test]
async fn more_connections_than_may_be_wait_for_their_turn() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = start(folder.path(), "connections_max = 2");
    let held = [answered(&served).await, answered(&served).await];
    let mut waiting = TcpStream::connect(served.address()).await.unwrap();
    waiting.write_all(ASKED).await.unwrap();
    let mut answer = [0; 12];
    let early = tokio::time::timeout(Duration::from_millis(200), waiting.read(&mut answer)).await;
    assert!(early.is_err(), "a third connection was taken");
    drop(held);
    tokio::time::timeout(PATIENCE, waiting.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop(waiting);
    // Many at once are all answered in the end.
    let asking = (0..100).map(|id| {
        let path = format!("/v1/user/{}", id % 100 + 1);
        let request = served.request("GET", &path).header("connection", "close");
        async move { request.send().await.unwrap().status().as_u16() }
    });
    assert_eq!(join_all(asking).await, [200; 100]);
    assert_well(&served).await;
}

#[tokio::test]
async fn more_requests_than_may_wait_are_told_to_come_later() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = start(folder.path(), "requests_max = 1");
    assert_eq!(served.get("/v1/user/7").await.0, 200);
    // It is under way for as long as its body does not come, unless it is refused itself.
    let head = "POST /v1/user HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n";
    let (slow, refused) = 'tried: loop {
        let mut slow = TcpStream::connect(served.address()).await.unwrap();
        slow.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..20 {
            let not_held = served.request("GET", "/v1/user/8").header("cache-control", "no-cache");
            let answer = not_held.send().await.unwrap();
            if answer.status() != 200 {
                break 'tried (slow, answer);
            }
        }
    };
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    // What memory holds takes nobody's place.
    assert_eq!(served.get("/v1/user/7").await.0, 200);
    drop(slow);
    while served.get("/v1/user/9").await.0 != 200 {}
    assert_well(&served).await;
}

/// A list whose answer is larger than what the system keeps for a client that does not read.
const LARGE: &str = r#"
[sources.shop.sqlite]
path = "shop.db"
[resources.user]
source = "shop"
key = "integer"
query = "select id, name from user where id = $1"
[resources.large]
source = "shop"
query = "select hex(zeroblob(400000)) as zeros"
"#;

#[tokio::test]
async fn who_does_not_take_the_answer_is_hung_up_on() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let server = "[server]\nconnections_max = 1\nwrite_timeout = \"300ms\"";
    let settings = format!("{}{LARGE}", COMMON.replace("[server]", server));
    let served = Served::start(folder.path(), &settings, &[]);
    let large = served.request("GET", "/v1/large/1").header("connection", "close");
    assert_eq!(large.send().await.unwrap().bytes().await.unwrap().len(), 800_012);
    let mut held = TcpStream::connect(served.address()).await.unwrap();
    let asked = b"GET /v1/large/1 HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100);
    held.write_all(&asked).await.unwrap();
    // The only place is taken until who does not read has lost it.
    assert_well(&served).await;
    let mut taken = Vec::new();
    drop(tokio::time::timeout(PATIENCE, held.read_to_end(&mut taken)).await.unwrap());
    assert!(taken.len() < 80_000_000, "all was answered");
}

#[tokio::test]
async fn so_many_may_listen_and_they_are_let_go_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let shop = make_shop(folder.path()).await;
    let mut served = start(folder.path(), "");
    let mut listening = Vec::new();
    for nth in 0..64 {
        let events = served.request("GET", "/admin/events").send().await.unwrap();
        assert_eq!(events.status(), 200, "{nth}");
        listening.push(events);
    }
    assert_eq!(served.get("/admin/events").await.0, 503);
    assert_well(&served).await;
    // Who goes makes room.
    drop(listening.pop());
    let again = loop {
        let events = served.request("GET", "/admin/events").send().await.unwrap();
        if events.status() == 200 {
            break events;
        }
    };
    listening.push(again);
    served.signal("TERM");
    let heard = join_all(listening.into_iter().map(reqwest::Response::bytes)).await;
    for events in heard {
        let events = String::from_utf8(events.unwrap().to_vec()).unwrap();
        assert!(events.is_empty() || events.starts_with("event: sample\n"), "{events}");
    }
    assert!(served.ended().success(), "{}", served.log());
    assert!(!served.log().contains("did not end in time"), "{}", served.log());
    shop.close().await.unwrap();
}
