//! A Redis server.

use forewarm::lab::{Data, LabError, Persistence, RedisOptions, RedisServer};
use redis::TlsCertificates;
use tokio::net::TcpStream;

use super::{ask, connect, hear, is_silent};

#[tokio::test]
async fn a_server_that_was_launched_answers() {
    let server = RedisServer::launch(RedisOptions::default()).await.unwrap();
    let mut stream = connect(server.addr()).await;
    assert_eq!(ask(&mut stream, "PING").await.unwrap(), "+PONG\r\n");
    assert_eq!(ask(&mut stream, "DBSIZE").await.unwrap(), ":0\r\n");
    assert_eq!(server.url(), format!("redis://{}", server.addr()));
}

#[tokio::test]
async fn a_frozen_server_accepts_and_answers_only_when_it_is_thawed() {
    let server = RedisServer::launch(RedisOptions::default()).await.unwrap();
    let mut old = connect(server.addr()).await;
    assert_eq!(ask(&mut old, "PING").await.unwrap(), "+PONG\r\n");
    server.freeze().unwrap();
    let mut new = connect(server.addr()).await;
    for stream in [&mut old, &mut new] {
        stream.try_write(b"PING\r\n").unwrap();
        assert!(is_silent(stream).await);
    }
    server.thaw().unwrap();
    for stream in [&mut old, &mut new] {
        assert_eq!(hear(stream).await.unwrap(), "+PONG\r\n");
    }
}

#[tokio::test]
async fn a_killed_server_refuses_and_a_started_one_has_its_data_or_none() {
    for (persistence, left) in
        [(Persistence::Off, ":0\r\n"), (Persistence::Rdb, ":1\r\n"), (Persistence::Aof, ":1\r\n")]
    {
        let options = RedisOptions::default().persistence(persistence);
        let server = RedisServer::launch(options).await.unwrap();
        let mut stream = connect(server.addr()).await;
        assert_eq!(ask(&mut stream, "SET key value").await.unwrap(), "+OK\r\n");
        if persistence == Persistence::Rdb {
            server.save().await.unwrap();
        }
        let pid = server.pid();
        server.kill().unwrap();
        assert_eq!(server.pid(), None);
        assert!(hear(&mut stream).await.is_err());
        assert!(TcpStream::connect(server.addr()).await.is_err());
        for (data, left) in [(Data::Kept, left), (Data::Lost, ":0\r\n")] {
            server.start(data).await.unwrap();
            assert_ne!(server.pid(), pid);
            let mut stream = connect(server.addr()).await;
            let size = ask(&mut stream, "DBSIZE").await.unwrap();
            assert_eq!(size, left, "{persistence:?}, {data:?}");
            server.kill().unwrap();
        }
    }
}

#[tokio::test]
async fn a_frozen_server_can_be_killed() {
    let server = RedisServer::launch(RedisOptions::default()).await.unwrap();
    server.freeze().unwrap();
    server.kill().unwrap();
    assert!(TcpStream::connect(server.addr()).await.is_err());
    assert!(matches!(server.freeze(), Err(LabError::State(_))));
    server.start(Data::Kept).await.unwrap();
}

#[tokio::test]
async fn passwords_users_and_memory_are_as_the_options_say() {
    let options = RedisOptions::default().password("s3cret");
    let options = options.user("reader", "on >other ~app:* +get").max_memory(8 << 20, "noeviction");
    let server = RedisServer::launch(options).await.unwrap();
    assert_eq!(server.url(), format!("redis://:s3cret@{}", server.addr()));
    let debug = format!("{server:?}");
    assert!(!debug.contains("s3cret") && !debug.contains("other"), "{debug}");
    let mut stream = connect(server.addr()).await;
    assert!(ask(&mut stream, "PING").await.unwrap().starts_with("-NOAUTH"));
    assert_eq!(ask(&mut stream, "AUTH s3cret").await.unwrap(), "+OK\r\n");
    let policy = ask(&mut stream, "CONFIG GET maxmemory-policy").await.unwrap();
    assert!(policy.contains("noeviction"), "{policy}");
    assert_eq!(ask(&mut stream, "AUTH reader other").await.unwrap(), "+OK\r\n");
    assert_eq!(ask(&mut stream, "GET app:1").await.unwrap(), "$-1\r\n");
    assert!(ask(&mut stream, "GET 1").await.unwrap().starts_with("-NOPERM"));
}

#[tokio::test]
async fn what_a_server_says_when_it_cannot_start_is_told() {
    let options = RedisOptions::default().setting("no-such-setting", "1");
    let error = RedisServer::launch(options).await.unwrap_err();
    assert!(error.to_string().contains("no-such-setting"), "{error}");
}

#[tokio::test]
async fn an_encrypted_server_is_trusted_through_its_own_authority_alone() {
    let server = RedisServer::launch(RedisOptions::default().tls()).await.unwrap();
    let other = RedisServer::launch(RedisOptions::default().tls()).await.unwrap();
    assert!(server.url().starts_with("rediss://"), "{}", server.url());
    let ping = async |authority: &RedisServer| {
        let root_cert = Some(std::fs::read(authority.authority().unwrap()).unwrap());
        let trusted = TlsCertificates { client_tls: None, root_cert };
        let client = redis::Client::build_with_tls(server.url(), trusted).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("PING").query_async::<String>(&mut connection).await
    };
    assert_eq!(ping(&server).await.unwrap(), "PONG");
    assert!(ping(&other).await.is_err());
    assert!(ask(&mut connect(server.addr()).await, "PING").await.is_err());
}
