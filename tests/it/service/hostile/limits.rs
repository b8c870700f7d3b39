//! More than there is room for.

use futures_util::future::join_all;
use sqlx::Connection as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{PATIENCE, assert_well, start};
use crate::served::{COMMON, Served, make_shop};
use crate::waiting::until;

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
    let mut held = [answered(&served).await, answered(&served).await];
    let mut waiting = TcpStream::connect(served.address()).await.unwrap();
    waiting.write_all(ASKED).await.unwrap();
    // It goes on with those that it has, and takes no other.
    for _ in 0..20 {
        held[0].write_all(ASKED).await.unwrap();
        assert_ne!(held[0].read(&mut [0; 4096]).await.unwrap(), 0);
    }
    let mut answer = [0; 12];
    let early = waiting.try_read(&mut answer);
    assert!(early.is_err(), "a third connection was taken: {early:?}");
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
    let mut new = 1_000_u32..;
    let (slow, refused) = 'tried: loop {
        let mut slow = TcpStream::connect(served.address()).await.unwrap();
        slow.write_all(head.as_bytes()).await.unwrap();
        // What memory holds is answered all the same, so each is asked for once.
        for id in new.by_ref().take(20) {
            let answer = served.request("GET", &format!("/v1/user/{id}"));
            let answer = answer.send().await.unwrap();
            if answer.status() != 404 {
                break 'tried (slow, answer);
            }
        }
    };
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    // What memory holds takes nobody's place, and a slow source is no reason to kill the process.
    for path in ["/v1/user/7", "/healthz"] {
        assert_eq!(served.get(path).await.0, 200, "{path}");
    }
    drop(slow);
    until("there is room again", async || served.get("/v1/user/9").await.0 == 200).await;
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
