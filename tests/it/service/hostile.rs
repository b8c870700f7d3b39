//! Clients that do not keep to the rules.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::served::{COMMON, SHOP, Served, make_shop};

mod limits;
mod noise;

/// Until whoever sends no whole request is hung up on.
const HEADER_TIMEOUT: &str = "header_timeout = \"300ms\"";
/// What never comes is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service with more settings of `[server]`.
fn start(folder: &std::path::Path, more: &str) -> Served {
    let common = COMMON.replace("[server]", &format!("[server]\n{more}"));
    Served::start(folder, &format!("{common}{SHOP}"), &[])
}

/// All that is answered to what is sent, until the other side closes.
async fn said(address: &str, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The other side may close before all is sent.
    drop(stream.write_all(sent).await);
    rest(&mut stream).await
}

/// All that is still to come.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer));
    // Who closes what has still to be read says so by a reset.
    drop(read.await.unwrap());
    String::from_utf8_lossy(&answer).into_owned()
}

/// The statuses of answers that came one after the other.
fn statuses(answers: &str) -> Vec<u16> {
    let found = answers.match_indices("HTTP/1.").map(|(at, _)| &answers[at..]);
    found.filter_map(|answer| answer.get(9..12)?.parse().ok()).collect()
}

/// That it still does its work, and that nothing has gone wrong that nobody has seen.
async fn assert_well(served: &Served) {
    let (status, user) = served.get("/v1/user/7").await;
    assert_eq!((status, &user["name"]), (200, &"user 7".into()), "{user}");
    let log = served.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// A request that must not be answered, since it may be meant as the body of the one before.
const SECOND: &str = "GET /v1/user/8 HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused_and_what_follows_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = start(folder.path(), HEADER_TIMEOUT);
    let json = "content-type: application/json\r\n";
    let chunked = "transfer-encoding: chunked\r\n";
    let bodies = [
        (format!("{json}content-length: 3\r\ncontent-length: 4\r\n"), "[1]"),
        (format!("{json}content-length: 3, 4\r\n"), "[1]"),
        (format!("{json}content-length: +3\r\n"), "[1]"),
        (format!("{json}content-length: 0x3\r\n"), "[1]"),
        (format!("{json}content-length: -1\r\n"), "[1]"),
        (format!("{json}content-length: 99999999999999999999999\r\n"), "[1]"),
        (format!("{json}content-length: 3\r\n{chunked}"), "0\r\n\r\n"),
        (format!("{json}{chunked}content-length: 3\r\n"), "0\r\n\r\n"),
        (format!("{json}transfer-encoding: chunked, identity\r\n"), "0\r\n\r\n"),
        (format!("{json}transfer-encoding: xchunked\r\n"), "0\r\n\r\n"),
        (format!("{json}transfer-encoding: identity\r\n"), ""),
        (format!("{json}transfer-encoding : chunked\r\n"), "0\r\n\r\n"),
        (format!("{json}{chunked}"), "zz\r\n[1]\r\n0\r\n\r\n"),
        (format!("{json}{chunked}"), "-3\r\n[1]\r\n0\r\n\r\n"),
        (format!("{json}{chunked}"), "0x3\r\n[1]\r\n0\r\n\r\n"),
        (format!("{json}{chunked}"), "FFFFFFFFFFFFFFFFF\r\n[1]\r\n0\r\n\r\n"),
        (format!("{json}{chunked}"), "3\r\n[1]xx0\r\n\r\n"),
        (format!("{json}x-folded: a\r\n b\r\ncontent-length: 3\r\n"), "[1]"),
        (format!("{json}x-nul: a\0b\r\ncontent-length: 3\r\n"), "[1]"),
        (format!("{json}x-return: a\rb\r\ncontent-length: 3\r\n"), "[1]"),
    ];
    for (headers, body) in bodies {
        let sent =
            format!("POST /v1/user HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n{body}{SECOND}");
        let answers = said(served.address(), sent.as_bytes()).await;
        let statuses = statuses(&answers);
        assert_eq!(statuses, [400], "{headers:?} {body:?}: {answers}");
    }
    assert_well(&served).await;
}

#[tokio::test]
async fn a_request_says_once_and_truly_whom_it_is_for() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = start(folder.path(), HEADER_TIMEOUT);
    let heads = [
        ("GET /v1/user/7 HTTP/1.1\r\nhost: localhost\r\n", 200),
        ("GET http://localhost/v1/user/7 HTTP/1.1\r\nhost: localhost\r\n", 200),
        ("GET http://evil.example.com/v1/user/7 HTTP/1.1\r\nhost: localhost\r\n", 421),
        ("GET http://localhost/v1/user/7 HTTP/1.1\r\nhost: evil.example.com\r\n", 421),
        ("GET http://u:p@localhost/v1/user/7 HTTP/1.1\r\nhost: localhost\r\n", 421),
        ("GET /v1/user/7 HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n", 400),
        ("GET /v1/user/7 HTTP/1.1\r\nhost: localhost\r\nhost: evil.example.com\r\n", 400),
        (
            "GET /v1/user/7 HTTP/1.1\r\nhost: localhost\r\nauthorization: a\r\nauthorization: b\r\n",
            400,
        ),
        ("GET /v1/user/7 HTTP/1.1\r\n", 400),
        ("GET /v1/user/7 HTTP/1.0\r\n", 400),
        ("GET /v1/user/7 HTTP/1.0\r\nhost: localhost\r\n", 200),
        ("CONNECT localhost:80 HTTP/1.1\r\nhost: localhost\r\n", 404),
        ("TRACE /v1/user/7 HTTP/1.1\r\nhost: localhost\r\nx-echo: no\r\n", 405),
        ("OPTIONS * HTTP/1.1\r\nhost: localhost\r\n", 404),
        ("get /v1/user/7 HTTP/1.1\r\nhost: localhost\r\n", 405),
        ("GET /v1/user/7 HTTP/3.0\r\nhost: localhost\r\n", 400),
        ("GET /v1/user/7\r\n", 400),
        ("GET  /v1/user/7 HTTP/1.1\r\nhost: localhost\r\n", 400),
        ("GET /v1/user/7 HTTP/1.1\r\nhost : localhost\r\n", 400),
    ];
    for (head, status) in heads {
        let answers = said(served.address(), format!("{head}\r\n").as_bytes()).await;
        assert_eq!(statuses(&answers), [status], "{head:?}: {answers}");
        assert!(!answers.contains("x-echo"), "{answers}");
    }
    assert_well(&served).await;
}

#[tokio::test]
async fn paths_mean_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = start(folder.path(), HEADER_TIMEOUT);
    let long = |length: usize| format!("/v1/word/{}", "a".repeat(length));
    let paths: [(&[u8], u16); 22] = [
        (b"/v1/user/%37", 200),
        (b"/v1/%75ser/7", 200),
        (b"/v1/user/%00", 400),
        (b"/v1/user/7%00", 400),
        (b"/v1/user/%2e%2e%2f", 404),
        (b"/v1/user/..%2f..%2fadmin%2fstats", 404),
        (b"/v1/../admin/stats", 404),
        (b"/v1/user/../../healthz", 404),
        (b"/./healthz", 404),
        (b"//healthz", 404),
        (b"/healthz/", 404),
        (b"/v1//7", 404),
        (b"/v1/user/7/", 404),
        (b"/v1/user/7;x=1", 404),
        (b"/v1/user/%FF", 400),
        (b"/v1/user/%C0%AE", 400),
        (b"/v1/user/%ED%A0%80", 400),
        (b"/v1/user/%", 404),
        (b"/v1/user/%zz", 404),
        (b"/v1/user/7%0d%0aset-cookie:%20a=b", 404),
        (b"/v1/user/7?alias=%0d%0aset-cookie:%20a=b", 400),
        (b"/v1/user/7?%FF", 400),
    ];
    let ask = async |path: &[u8]| {
        let sent = [b"GET ", path, b" HTTP/1.1\r\nhost: localhost\r\n\r\n"].concat();
        said(served.address(), &sent).await
    };
    for (path, status) in paths {
        let answers = ask(path).await;
        let shown = String::from_utf8_lossy(path);
        assert_eq!(statuses(&answers), [status], "{shown}: {answers}");
        assert!(!answers.contains("\r\nset-cookie"), "{shown}: {answers}");
    }
    // Longer than a key that is kept, and longer than what is read at all.
    assert_eq!(statuses(&ask(long(2_000).as_bytes()).await), [404]);
    assert_eq!(statuses(&ask(long(20_000).as_bytes()).await), [404]);
    let answers = ask(long(100_000).as_bytes()).await;
    assert!([414, 431].contains(&statuses(&answers)[0]), "{answers}");
    let raw = ask(b"/v1/word/\xC3\xA4").await;
    assert!([400, 404].contains(&statuses(&raw)[0]), "{raw}");
    assert_well(&served).await;
}

#[tokio::test]
async fn requests_that_are_sent_at_once_are_answered_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = start(folder.path(), HEADER_TIMEOUT);
    let asked: String = (1..=100)
        .map(|id| format!("GET /v1/user/{id} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
        .collect();
    let answers = said(served.address(), asked.as_bytes()).await;
    assert_eq!(statuses(&answers), [200; 100]);
    let names: Vec<_> = answers.match_indices("\"user ").map(|(at, _)| at).collect();
    assert_eq!(names.len(), 100);
    for (id, at) in (1..=100).zip(names) {
        assert!(answers[at..].starts_with(&format!("\"user {id}\"")), "{id}");
    }
}

#[tokio::test]
async fn who_goes_away_takes_nothing_along() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = start(folder.path(), HEADER_TIMEOUT);
    let mut gone = JoinSet::new();
    for nth in 0..200 {
        let address = served.address().to_owned();
        gone.spawn(async move {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            let request = format!("GET /v1/user/{nth} HTTP/1.1\r\nhost: localhost\r\n\r\n");
            let sent = request.len().min(nth);
            stream.write_all(&request.as_bytes()[..sent]).await.unwrap();
            match nth % 3 {
                // Says that nothing more comes, and listens.
                0 => {
                    stream.shutdown().await.unwrap();
                    let answers = rest(&mut stream).await;
                    assert!(statuses(&answers).iter().all(|status| *status < 500), "{answers}");
                }
                // Goes in the midst of the answer.
                1 => drop(stream.read(&mut [0; 8]).await),
                // Goes before it.
                _ => {}
            }
        });
    }
    while let Some(ended) = gone.join_next().await {
        ended.unwrap();
    }
    assert_well(&served).await;
}
