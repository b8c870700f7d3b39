//! A Redis server with a replica, and sentinels.

use forewarm::lab::{Data, RedisOptions, RedisServer, Sentinel};

use super::{IN_TIME, ask, connect};

/// Waits until a sentinel says that this server is the master.
async fn until_master(setup: &Sentinel, nth: usize) {
    let waited = async {
        while setup.master().await.ok() != Some(nth) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(IN_TIME, waited).await.unwrap();
}

/// Waits until the server says that it is one. It closes connections when it becomes one.
async fn until_role(server: &RedisServer, role: &str) {
    let waited = async {
        while !roles(server).await.is_ok_and(|answer| answer.contains(role)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(IN_TIME, waited).await.unwrap();
}

async fn roles(server: &RedisServer) -> std::io::Result<String> {
    let mut stream = connect(server.addr()).await;
    ask(&mut stream, "AUTH s3cret").await?;
    ask(&mut stream, "ROLE").await
}

#[tokio::test]
async fn the_replica_becomes_master_when_the_master_is_frozen() {
    let setup = Sentinel::launch(RedisOptions::default(), 3).await.unwrap();
    let [master, replica] = setup.servers() else { panic!("not two servers") };
    assert_eq!((setup.master().await.unwrap(), setup.urls().len()), (0, 3));
    let mut stream = connect(master.addr()).await;
    assert_eq!(ask(&mut stream, "SET key value").await.unwrap(), "+OK\r\n");
    assert_eq!(ask(&mut stream, "WAIT 1 0").await.unwrap(), ":1\r\n");
    master.freeze().unwrap();
    until_master(&setup, 1).await;
    until_role(replica, "master").await;
    assert_eq!(ask(&mut connect(replica.addr()).await, "DBSIZE").await.unwrap(), ":1\r\n");
}

#[tokio::test]
async fn a_master_that_was_cut_off_goes_on_until_the_network_heals_and_then_follows() {
    let options = RedisOptions::default().password("s3cret");
    let setup = Sentinel::launch_behind_proxies(options, 1).await.unwrap();
    let [proxy, _] = setup.proxies() else { panic!("not two proxies") };
    proxy.cut().await;
    until_master(&setup, 1).await;
    // The old master cannot hear of it yet.
    let old = &setup.servers()[0];
    let mut stream = connect(old.addr()).await;
    assert_eq!(ask(&mut stream, "AUTH s3cret").await.unwrap(), "+OK\r\n");
    assert_eq!(ask(&mut stream, "SET key value").await.unwrap(), "+OK\r\n");
    assert!(roles(old).await.unwrap().contains("master"));
    proxy.heal().await;
    until_role(old, "slave").await;
}

#[tokio::test]
async fn without_a_sentinel_nobody_fails_over() {
    let setup = Sentinel::launch(RedisOptions::default(), 1).await.unwrap();
    setup.sentinels()[0].kill().unwrap();
    assert!(setup.master().await.is_err());
    setup.sentinels()[0].start(Data::Kept).await.unwrap();
    assert_eq!(setup.master().await.unwrap(), 0);
}
