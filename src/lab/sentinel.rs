//! A Redis server with a replica, and sentinels that watch them.

use std::collections::HashMap;

use super::redis_options::{RedisOptions, Role};
use super::redis_server::RedisServer;
use super::{LabError, Proxy, port, start};

/// A master, a replica, and sentinels that make the replica the master when most of them have not
/// heard of it for a second.
///
/// A master that comes back becomes a replica of the new one.
#[derive(Debug)]
pub struct Sentinel {
    servers: Vec<RedisServer>,
    proxies: Vec<Proxy>,
    sentinels: Vec<RedisServer>,
}

/// The name of the master, whichever server that is.
const NAME: &str = "forewarm";

const DOWN_AFTER_MS: u32 = 1_000;

/// How long a failover may take; after twice as long it is tried again, if what was known of the
/// replica was too old, for example.
const FAILOVER_WITHIN_MS: u32 = 1_000;

impl Sentinel {
    /// Starts the servers and so many sentinels; returns when all know each other, and the replica
    /// has what the master has.
    ///
    /// # Errors
    ///
    /// Redis is not installed, or does not accept the options.
    pub async fn launch(options: RedisOptions, sentinels: u8) -> Result<Self, LabError> {
        start::launch(async || Self::launch_once(&options, sentinels, false).await).await
    }

    /// The same, with a proxy before each server, at which everybody is told to look for it: the
    /// clients, the sentinels, and the other server.
    ///
    /// # Errors
    ///
    /// As for [`Sentinel::launch`].
    pub async fn launch_behind_proxies(
        options: RedisOptions,
        sentinels: u8,
    ) -> Result<Self, LabError> {
        start::launch(async || Self::launch_once(&options, sentinels, true).await).await
    }

    async fn launch_once(
        options: &RedisOptions,
        sentinels: u8,
        has_proxies: bool,
    ) -> Result<Self, LabError> {
        let launch = async |options| RedisServer::launch_behind(options, has_proxies).await;
        let (master, proxy) = launch(options.clone()).await?;
        let place = format!("{} {}", master.seen_at().ip(), master.seen_at().port());
        let (replica, other) = launch(options.clone().setting("replicaof", &place)).await?;
        let proxies = proxy.into_iter().chain(other).collect();
        let mut setup = Self { servers: vec![master, replica], proxies, sentinels: Vec::new() };
        // A sentinel asks the master for its replicas at once, and then only every ten seconds.
        setup.replicated().await?;
        let told = told(&place, options, sentinels);
        for _ in 0..sentinels {
            let options = RedisOptions::default().role(Role::Sentinel(told.clone()));
            setup.sentinels.push(RedisServer::launch_at(port::free()?, options).await?);
        }
        setup.watched().await?;
        Ok(setup)
    }

    /// Waits until one server has what the other has.
    async fn replicated(&self) -> Result<(), LabError> {
        for replica in self.servers.iter().skip(1) {
            let follows = async || {
                let state = replica.ask::<String>("INFO", &["replication"]).await;
                state.is_ok_and(|state| state.contains("master_link_status:up"))
            };
            replica.until(follows).await?;
        }
        Ok(())
    }

    /// Waits until the sentinels know the replica and each other.
    async fn watched(&self) -> Result<(), LabError> {
        let others = self.sentinels.len().saturating_sub(1).to_string();
        for sentinel in &self.sentinels {
            let knows_all = async || {
                let known = sentinel.ask::<HashMap<String, String>>("SENTINEL", &["MASTER", NAME]);
                let known = known.await.unwrap_or_default();
                known.get("num-slaves").is_some_and(|count| count == "1")
                    && known.get("num-other-sentinels") == Some(&others)
            };
            sentinel.until(knows_all).await?;
        }
        Ok(())
    }

    /// Both servers; the first was the master at first.
    #[must_use]
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// The proxies before the servers, in the same order; none unless it was launched with them.
    #[must_use]
    pub fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    /// The sentinels. They are processes like the servers, and can be frozen and killed.
    #[must_use]
    pub fn sentinels(&self) -> &[RedisServer] {
        &self.sentinels
    }

    /// Where the sentinels are.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(RedisServer::url).collect()
    }

    /// The name by which sentinels are asked for the master.
    #[must_use]
    pub fn name(&self) -> &'static str {
        NAME
    }

    /// The place in [`Sentinel::servers`] of the master, as the first sentinel that answers has it.
    ///
    /// # Errors
    ///
    /// None of them answers.
    pub async fn master(&self) -> Result<usize, LabError> {
        for sentinel in &self.sentinels {
            let place = sentinel.ask("SENTINEL", &["GET-MASTER-ADDR-BY-NAME", NAME]).await;
            let place = place.map(|(ip, port): (String, String)| format!("{ip}:{port}"));
            let Ok(place) = place else { continue };
            let is_it = |server: &RedisServer| server.seen_at().to_string() == place;
            let master = self.servers.iter().position(is_it);
            return master.ok_or(LabError::State("the master is a server of somebody else"));
        }
        Err(LabError::State("no sentinel answers"))
    }
}

/// The lines in the file of a sentinel.
fn told(place: &str, options: &RedisOptions, sentinels: u8) -> String {
    let quorum = sentinels / 2 + 1;
    let mut lines = vec![
        format!("sentinel monitor {NAME} {place} {quorum}"),
        format!("sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}"),
        format!("sentinel failover-timeout {NAME} {FAILOVER_WITHIN_MS}"),
    ];
    let password = options.password.as_ref();
    lines.extend(password.map(|password| format!("sentinel auth-pass {NAME} {password}")));
    lines.join("\n")
}
