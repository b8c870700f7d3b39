//! A Redis server of one's own.

use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use redis::aio::MultiplexedConnection;

use super::keeper::Keeper;
use super::ready::{self, Data};
use super::{LabError, port, program};

/// How a Redis server is set up. By default it asks for no password and writes nothing to disk.
#[derive(Clone, Default)]
pub struct RedisOptions {
    password: Option<String>,
    users: Vec<String>,
    persistence: Persistence,
    settings: Vec<(&'static str, String)>,
}

/// What a Redis server writes to disk, and so finds again after it was killed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Persistence {
    /// Nothing by itself. What [`RedisServer::save`] has written is found again.
    #[default]
    Off,
    /// A snapshot within a second of a change; a kill loses what came later.
    Rdb,
    /// Every change before it is answered; a kill loses nothing.
    Aof,
}

impl RedisOptions {
    /// The password of the user `default`. Without one, everybody is that user.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// One more user, with rules such as `on >secret ~app:* &* +@all`.
    #[must_use]
    pub fn user(mut self, name: &str, rules: &str) -> Self {
        self.users.push(format!("user {name} {rules}"));
        self
    }

    /// What is written to disk. Default: nothing.
    #[must_use]
    pub fn persistence(mut self, persistence: Persistence) -> Self {
        self.persistence = persistence;
        self
    }

    /// The most memory that data may take, and what becomes of keys that find no room, such as
    /// `noeviction` or `allkeys-lru`.
    #[must_use]
    pub fn max_memory(self, bytes: u64, policy: &str) -> Self {
        self.setting("maxmemory", bytes.to_string()).setting("maxmemory-policy", policy)
    }

    /// Any other line of `redis.conf`.
    #[must_use]
    pub fn setting(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((name, value.into()));
        self
    }

    /// Writes `redis.conf` and the file of users.
    fn write(&self, home: &Path, address: SocketAddr) -> Result<(), LabError> {
        let failed = |source| LabError::io("writing redis.conf", source);
        fs::create_dir(home.join("data")).map_err(failed)?;
        fs::write(home.join("redis.conf"), self.file(home, address)).map_err(failed)?;
        let secret = self.password.as_ref().map_or("nopass".to_owned(), |word| format!(">{word}"));
        let default = format!("user default on {secret} ~* &* +@all");
        let users = [&[default], &self.users[..]].concat().join("\n");
        fs::write(home.join("users.acl"), users + "\n").map_err(failed)
    }

    fn file(&self, home: &Path, address: SocketAddr) -> String {
        let home = home.display();
        let mut file = format!(
            "bind {ip}\nport {port}\nprotected-mode no\ndir \"{home}/data\"\n\
             aclfile \"{home}/users.acl\"\n{persistence}\n",
            ip = address.ip(),
            port = address.port(),
            persistence = self.persistence.lines(),
        );
        for (name, value) in &self.settings {
            // Writing to a string cannot fail.
            let _: fmt::Result = writeln!(file, "{name} {value}");
        }
        file
    }
}

impl Persistence {
    fn lines(self) -> &'static str {
        match self {
            Self::Off => "save \"\"\nappendonly no",
            Self::Rdb => "save 1 1\nappendonly no",
            Self::Aof => "save \"\"\nappendonly yes\nappendfsync always",
        }
    }
}

/// Without the passwords.
impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut options = f.debug_struct("RedisOptions");
        options.field("persistence", &self.persistence).finish_non_exhaustive()
    }
}

/// A Redis server on a loopback port of its own. When it is dropped, and when this process dies,
/// it is killed and what it has written is removed.
#[derive(Debug)]
pub struct RedisServer {
    keeper: Keeper,
    options: RedisOptions,
    address: SocketAddr,
}

const PROGRAM: &str = "redis-server";

/// How often another port is tried, if somebody takes the one that was free a moment ago.
const PORTS_MAX: u32 = 5;

impl RedisServer {
    /// Starts a server that is empty; returns when it answers.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not accept the options.
    pub async fn launch(options: RedisOptions) -> Result<Self, LabError> {
        let mut tries = 1;
        loop {
            let server = Self::prepare(options.clone())?;
            match server.start(Data::Kept).await {
                Err(LabError::Ended { last_words, .. })
                    if tries < PORTS_MAX && last_words.contains("Address already in use") =>
                {
                    tries += 1;
                }
                started => return started.map(|()| server),
            }
        }
    }

    fn prepare(options: RedisOptions) -> Result<Self, LabError> {
        let program = program::find(PROGRAM, PROGRAM)?;
        let address = port::free()?;
        let home = tempfile::Builder::new().prefix("forewarm-redis-").tempdir();
        let home = home.map_err(|source| LabError::io("making a directory", source))?;
        options.write(home.path(), address)?;
        let command = [OsString::from(program), home.path().join("redis.conf").into()];
        let keeper = Keeper::new(home, &command, None)?;
        Ok(Self { keeper, options, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Where it is, with the password of the user `default` if there is one.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address)
    }

    /// The same, but for another address, such as that of a proxy.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        let secret = self.options.password.as_ref();
        let user = secret.map_or(String::new(), |password| format!(":{password}@"));
        format!("redis://{user}{address}")
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
        ready::start(&self.keeper, PROGRAM, async || self.answers().await.is_ok()).await
    }

    /// Writes what it holds to disk, so that it is found again after a kill.
    ///
    /// # Errors
    ///
    /// It does not run, or cannot write.
    pub async fn save(&self) -> Result<(), LabError> {
        let saved = async { redis::cmd("SAVE").exec_async(&mut self.connect().await?).await };
        saved.await.map_err(|error| LabError::refused("saving", error))
    }

    async fn answers(&self) -> redis::RedisResult<()> {
        redis::cmd("PING").exec_async(&mut self.connect().await?).await
    }

    /// A connection of its own, as the user `default`.
    async fn connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        redis::Client::open(self.url())?.get_multiplexed_async_connection().await
    }
}
