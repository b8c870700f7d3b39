//! A network that is disturbed.

use std::time::Duration;

use forewarm::lab::{Proxy, RedisOptions, RedisServer, Way};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{ask, connect, hear, is_silent, until};

async fn launch() -> (RedisServer, Proxy, TcpStream) {
    let server = RedisServer::launch(RedisOptions::default()).await.unwrap();
    let proxy = Proxy::start(server.addr()).await.unwrap();
    let mut stream = connect(proxy.addr()).await;
    assert_eq!(ask(&mut stream, "PING").await.unwrap(), "+PONG\r\n");
    (server, proxy, stream)
}

/// The value of `count` at the server itself.
async fn count(server: &RedisServer) -> String {
    ask(&mut connect(server.addr()).await, "GET count").await.unwrap()
}

#[tokio::test]
async fn what_passes_is_counted() {
    let (_server, proxy, stream) = launch().await;
    let traffic = proxy.traffic();
    assert_eq!((traffic.connections, traffic.open), (1, 1));
    assert_eq!((traffic.bytes_to_server, traffic.bytes_to_client), (6, 7));
    drop(stream);
    until(|| proxy.traffic().open == 0).await;
}

#[tokio::test]
async fn each_way_is_delayed_by_itself() {
    let (_server, proxy, mut stream) = launch().await;
    let delay = Duration::from_millis(60);
    for ways in [&[Way::ToServer][..], &[Way::ToClient], &[Way::ToServer, Way::ToClient]] {
        ways.iter().for_each(|way| proxy.delay(*way, delay));
        let began = Instant::now();
        assert_eq!(ask(&mut stream, "PING").await.unwrap(), "+PONG\r\n");
        let least = delay * u32::try_from(ways.len()).unwrap();
        assert!(began.elapsed() >= least, "{ways:?} {:?}", began.elapsed());
        proxy.heal().await;
    }
}

#[tokio::test]
async fn a_delay_that_ends_delivers_at_once() {
    let (_server, proxy, mut stream) = launch().await;
    proxy.delay(Way::ToClient, Duration::from_hours(1));
    stream.try_write(b"PING\r\n").unwrap();
    assert!(is_silent(&mut stream).await);
    proxy.heal().await;
    assert_eq!(hear(&mut stream).await.unwrap(), "+PONG\r\n");
}

#[tokio::test]
async fn one_way_is_blocked_and_heals_in_the_same_connection() {
    for (way, arrived) in [(Way::ToServer, "$-1\r\n"), (Way::ToClient, "$1\r\n1\r\n")] {
        let (server, proxy, mut stream) = launch().await;
        proxy.block(way);
        stream.try_write(b"INCR count\r\n").unwrap();
        assert!(is_silent(&mut stream).await);
        assert_eq!(count(&server).await, arrived, "{way:?}");
        let mut new = connect(proxy.addr()).await;
        new.try_write(b"INCR count\r\n").unwrap();
        assert!(is_silent(&mut new).await);
        assert_eq!(count(&server).await, arrived, "{way:?}: a connection needs both ways");
        proxy.heal().await;
        assert_eq!(hear(&mut stream).await.unwrap(), ":1\r\n");
        assert_eq!(hear(&mut new).await.unwrap(), ":2\r\n");
    }
}

#[tokio::test]
async fn a_cut_resets_everybody_and_refuses_until_it_is_healed() {
    let (_server, proxy, mut stream) = launch().await;
    proxy.cut().await;
    assert!(hear(&mut stream).await.is_err());
    assert!(TcpStream::connect(proxy.addr()).await.is_err());
    assert_eq!(proxy.traffic().open, 0);
    proxy.heal().await;
    let mut stream = connect(proxy.addr()).await;
    assert_eq!(ask(&mut stream, "PING").await.unwrap(), "+PONG\r\n");
    proxy.reset().await;
    assert!(hear(&mut stream).await.is_err());
    assert_eq!(ask(&mut connect(proxy.addr()).await, "PING").await.unwrap(), "+PONG\r\n");
}

#[tokio::test]
async fn a_lost_reply_was_executed_and_nothing_follows_it() {
    let (server, proxy, mut stream) = launch().await;
    proxy.lose_replies(1);
    for passed in ["$1\r\n1\r\n", "$1\r\n2\r\n"] {
        stream.try_write(b"INCR count\r\n").unwrap();
        assert!(is_silent(&mut stream).await);
        assert_eq!(count(&server).await, passed);
    }
    let mut new = connect(proxy.addr()).await;
    assert_eq!(ask(&mut new, "INCR count").await.unwrap(), ":3\r\n");
    proxy.heal().await;
    assert!(hear(&mut stream).await.is_err());
    assert_eq!(ask(&mut new, "INCR count").await.unwrap(), ":4\r\n");
}

#[tokio::test]
async fn the_reply_to_one_kind_of_request_is_lost() {
    let (_server, proxy, mut stream) = launch().await;
    proxy.lose_replies_to("INCR", u64::MAX);
    assert_eq!(ask(&mut stream, "GET count").await.unwrap(), "$-1\r\n");
    stream.try_write(b"INCR count\r\n").unwrap();
    assert!(is_silent(&mut stream).await);
}

#[tokio::test]
async fn a_throttled_way_delivers_slowly_until_it_heals() {
    let (_server, proxy, mut stream) = launch().await;
    proxy.throttle(Way::ToClient, 100);
    let began = Instant::now();
    let mut answer = ask(&mut stream, "ECHO 0123456789").await.unwrap();
    while !answer.ends_with("9\r\n") {
        answer += &hear(&mut stream).await.unwrap();
    }
    assert_eq!(answer, "$10\r\n0123456789\r\n");
    assert!(began.elapsed() >= Duration::from_millis(160), "{:?}", began.elapsed());
    proxy.heal().await;
    assert_eq!(ask(&mut stream, "PING").await.unwrap(), "+PONG\r\n");
}

#[tokio::test]
async fn connections_end_with_the_proxy() {
    let (_server, proxy, mut stream) = launch().await;
    let address = proxy.addr();
    drop(proxy);
    assert!(hear(&mut stream).await.is_err());
    until(|| std::net::TcpStream::connect(address).is_err()).await;
}

#[tokio::test]
async fn a_server_that_is_gone_is_seen_through_the_proxy() {
    let (server, proxy, mut stream) = launch().await;
    server.kill().unwrap();
    assert!(hear(&mut stream).await.is_err());
    assert!(hear(&mut connect(proxy.addr()).await).await.is_err());
}
