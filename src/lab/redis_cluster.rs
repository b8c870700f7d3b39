//! A Redis Cluster of one's own.

use std::ops::Range;

use super::redis_options::{RedisOptions, Role};
use super::redis_server::RedisServer;
use super::{LabError, Proxy, start};

/// A Redis Cluster of three masters, which share the slots evenly, without replicas.
///
/// A node that does not answer its peers for a second is taken to be down, and the cluster with
/// it.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    proxies: Vec<Proxy>,
}

const NODES: u32 = 3;

const SLOTS: u32 = 16_384;

impl RedisCluster {
    /// Starts the nodes and joins them; returns when all of them say that the cluster is well.
    ///
    /// # Errors
    ///
    /// Redis is not installed, or does not accept the options.
    pub async fn launch(options: RedisOptions) -> Result<Self, LabError> {
        start::launch(async || Self::launch_once(&options, false).await).await
    }

    /// The same, with a proxy before each node, at which clients are told to look for it. The
    /// nodes themselves talk to each other directly.
    ///
    /// # Errors
    ///
    /// As for [`RedisCluster::launch`].
    pub async fn launch_behind_proxies(options: RedisOptions) -> Result<Self, LabError> {
        start::launch(async || Self::launch_once(&options, true).await).await
    }

    async fn launch_once(options: &RedisOptions, has_proxies: bool) -> Result<Self, LabError> {
        let mut cluster = Self { nodes: Vec::new(), proxies: Vec::new() };
        for _ in 0..NODES {
            let options = options.clone().role(Role::Node);
            let (node, proxy) = RedisServer::launch_behind(options, has_proxies).await?;
            cluster.nodes.push(node);
            cluster.proxies.extend(proxy);
        }
        cluster.join().await?;
        cluster.ready().await?;
        Ok(cluster)
    }

    /// Gives each node its share of the slots, and lets them all meet the first.
    async fn join(&self) -> Result<(), LabError> {
        for (nth, node) in (0..NODES).zip(&self.nodes) {
            // Nodes with the same epoch would have to sort that out among themselves. It can be
            // set as long as a node knows no other.
            node.tell("CLUSTER", &["SET-CONFIG-EPOCH", &(nth + 1).to_string()]).await?;
            let slots: Vec<_> = share(nth).map(|slot| slot.to_string()).collect();
            let slots: Vec<_> = slots.iter().map(String::as_str).collect();
            node.tell("CLUSTER", &[&["ADDSLOTS"], &slots[..]].concat()).await?;
        }
        let Some((first, others)) = self.nodes.split_first() else { return Ok(()) };
        let (ip, port) = (first.addr().ip().to_string(), first.addr().port().to_string());
        for node in others {
            node.tell("CLUSTER", &["MEET", &ip, &port]).await?;
        }
        Ok(())
    }

    /// Waits until all nodes say that the cluster is well, such as after one of them was started
    /// again.
    ///
    /// # Errors
    ///
    /// It does not become well; because a node does not run, for example.
    pub async fn ready(&self) -> Result<(), LabError> {
        for node in &self.nodes {
            let is_well = async || {
                let state = node.ask::<String>("CLUSTER", &["INFO"]).await.unwrap_or_default();
                let nodes = format!("cluster_known_nodes:{NODES}");
                state.contains("cluster_state:ok") && state.contains(&nodes)
            };
            node.until(is_well).await?;
        }
        Ok(())
    }

    /// The nodes.
    #[must_use]
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The proxies before the nodes, in the same order; none unless it was launched with them.
    #[must_use]
    pub fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    /// Where clients find the nodes.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.url_at(node.seen_at())).collect()
    }
}

/// The slots of the node: a third of all, side by side.
fn share(nth: u32) -> Range<u32> {
    SLOTS * nth / NODES..SLOTS * (nth + 1) / NODES
}
