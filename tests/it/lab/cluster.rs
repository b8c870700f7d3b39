//! A Redis Cluster.

use forewarm::lab::{Data, RedisCluster, RedisOptions};
use redis::AsyncCommands as _;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;

use super::{ask, connect};

async fn client(cluster: &RedisCluster) -> ClusterConnection {
    ClusterClient::new(cluster.urls()).unwrap().get_async_connection().await.unwrap()
}

/// Keys in slots of all nodes.
const KEYS: std::ops::Range<u32> = 0..30;

async fn fill(connection: &mut ClusterConnection) {
    for key in KEYS {
        connection.set::<_, _, ()>(key, key).await.unwrap();
    }
}

async fn sizes(cluster: &RedisCluster) -> Vec<u32> {
    let mut sizes = Vec::new();
    for node in cluster.nodes() {
        let size = ask(&mut connect(node.addr()).await, "DBSIZE").await.unwrap();
        sizes.push(size.trim_matches([':', '\r', '\n']).parse().unwrap());
    }
    sizes
}

#[tokio::test]
async fn all_masters_hold_a_share_and_a_killed_one_comes_back() {
    let cluster = RedisCluster::launch(RedisOptions::default()).await.unwrap();
    let mut connection = client(&cluster).await;
    fill(&mut connection).await;
    let before = sizes(&cluster).await;
    assert_eq!(before.iter().sum::<u32>(), 30);
    assert!(before.len() == 3 && before.iter().all(|size| *size > 3), "{before:?}");
    let node = &cluster.nodes()[1];
    node.kill().unwrap();
    node.start(Data::Lost).await.unwrap();
    cluster.ready().await.unwrap();
    assert_eq!(sizes(&cluster).await, [before[0], 0, before[2]]);
    fill(&mut client(&cluster).await).await;
    assert_eq!(sizes(&cluster).await, before);
}

#[tokio::test]
async fn clients_of_a_cluster_behind_proxies_go_through_them() {
    let options = RedisOptions::default().password("s3cret");
    let cluster = RedisCluster::launch_behind_proxies(options).await.unwrap();
    fill(&mut client(&cluster).await).await;
    for proxy in cluster.proxies() {
        assert!(proxy.traffic().bytes_to_server > 100, "{:?}", proxy.traffic());
    }
    // The nodes need no proxy among themselves.
    cluster.proxies()[0].cut().await;
    cluster.ready().await.unwrap();
    assert!(ClusterClient::new(cluster.urls()).unwrap().get_async_connection().await.is_ok());
}
