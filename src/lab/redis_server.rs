//! A Redis server of one's own.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use redis::aio::MultiplexedConnection;
use redis::{Client, FromRedisValue, RedisResult, TlsCertificates};

use super::certificates::Certificates;
use super::keeper::Keeper;
use super::redis_options::RedisOptions;
use super::start::{self, Data};
use super::{LabError, Proxy, home, port, program};

/// A Redis server on a loopback port of its own. When it is dropped, and when this process dies,
/// it is killed and what it has written is removed.
#[derive(Debug)]
pub struct RedisServer {
    keeper: Keeper,
    options: RedisOptions,
    address: SocketAddr,
}

const PROGRAM: &str = "redis-server";

impl RedisServer {
    /// Starts a server that is empty; returns when it answers.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not accept the options.
    pub async fn launch(options: RedisOptions) -> Result<Self, LabError> {
        start::launch(async || Self::launch_at(port::free()?, options.clone()).await).await
    }

    /// The same, at an address that nobody has.
    pub(super) async fn launch_at(
        address: SocketAddr,
        options: RedisOptions,
    ) -> Result<Self, LabError> {
        let program = program::find(PROGRAM, PROGRAM)?;
        let home = home::new("forewarm-redis-")?;
        if options.has_tls {
            Certificates::make(home.path()).await?;
        }
        options.write(home.path(), address)?;
        let mut command = vec![OsString::from(program), home.path().join("redis.conf").into()];
        if options.is_sentinel() {
            command.push("--sentinel".into());
        }
        let keeper = Keeper::new(home, &command, None)?;
        let server = Self { keeper, options, address };
        server.start(Data::Kept).await?;
        Ok(server)
    }

    /// The same, with a proxy before it, at which others are told to look for it.
    pub(super) async fn launch_behind(
        options: RedisOptions,
        has_proxy: bool,
    ) -> Result<(Self, Option<Proxy>), LabError> {
        let address = port::free()?;
        let proxy = if has_proxy { Some(Proxy::start(address).await?) } else { None };
        let options = options.announced(proxy.as_ref().map(Proxy::addr));
        Ok((Self::launch_at(address, options).await?, proxy))
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Where others are told to look for it.
    pub(super) fn seen_at(&self) -> SocketAddr {
        self.options.announced.unwrap_or(self.address)
    }

    /// Where it is, with the password of the user `default` if there is one.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address)
    }

    /// The same, but for another address, such as that of a proxy.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        let scheme = if self.options.has_tls { "rediss" } else { "redis" };
        let secret = self.options.password.as_ref();
        let user = secret.map_or_else(String::new, |password| format!(":{password}@"));
        format!("{scheme}://{user}{address}")
    }

    /// The certificate of the authority that vouches for it, if it has TLS; PEM.
    #[must_use]
    pub fn authority(&self) -> Option<PathBuf> {
        self.options.has_tls.then(|| Certificates::paths(self.directory()).authority)
    }

    /// Its process, unless it was killed.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.keeper.pid()
    }

    /// What it writes is under here, and removed with it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.keeper.directory()
    }

    /// Stops it as it stands: it keeps its connections and the kernel accepts new ones for it, but
    /// nothing is answered.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub fn freeze(&self) -> Result<(), LabError> {
        self.keeper.freeze()
    }

    /// Lets it go on where it was stopped.
    ///
    /// # Errors
    ///
    /// It does not run.
    pub fn thaw(&self) -> Result<(), LabError> {
        self.keeper.thaw()
    }

    /// Kills it, frozen or not; returns when it is gone.
    ///
    /// # Errors
    ///
    /// The shell that keeps it has died.
    pub fn kill(&self) -> Result<(), LabError> {
        self.keeper.kill()
    }

    /// Starts it again after a kill, at the same address; returns when it answers.
    ///
    /// # Errors
    ///
    /// It runs already, or ends at once: if its port was taken, for example.
    pub async fn start(&self, data: Data) -> Result<(), LabError> {
        if data == Data::Lost {
            let data = self.keeper.directory().join("data");
            fs::remove_dir_all(&data)
                .and_then(|()| fs::create_dir(&data))
                .map_err(|source| LabError::io("removing the data of a server", source))?;
        }
        let answers = async || self.ask::<String>("PING", &[]).await.is_ok();
        start::start(&self.keeper, PROGRAM, answers).await
    }

    /// Writes what it holds to disk, so that it is found again after a kill.
    ///
    /// # Errors
    ///
    /// It does not run, or cannot write.
    pub async fn save(&self) -> Result<(), LabError> {
        self.tell("SAVE", &[]).await
    }

    /// Gives it an order, as the user `default`.
    pub(super) async fn tell(
        &self,
        command: &'static str,
        arguments: &[&str],
    ) -> Result<(), LabError> {
        let told = self.ask::<redis::Value>(command, arguments).await;
        told.map(|_| ()).map_err(|error| LabError::refused(command, error))
    }

    /// Asks it something, in a connection of its own, as the user `default`.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        command: &'static str,
        arguments: &[&str],
    ) -> RedisResult<T> {
        redis::cmd(command).arg(arguments).query_async(&mut self.connect().await?).await
    }

    /// Waits until it answers as it should.
    pub(super) async fn until(&self, answers: impl AsyncFn() -> bool) -> Result<(), LabError> {
        start::wait(&self.keeper, PROGRAM, answers).await
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let client = match self.authority() {
            None => Client::open(self.url())?,
            Some(authority) => {
                let root_cert = Some(fs::read(authority)?);
                Client::build_with_tls(self.url(), TlsCertificates { client_tls: None, root_cert })?
            }
        };
        client.get_multiplexed_async_connection().await
    }
}
