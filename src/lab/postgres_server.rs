//! A PostgreSQL server of one's own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::certificates::Certificates;
use super::keeper::Keeper;
use super::postgres_options::PostgresOptions;
use super::start::{self, Data};
use super::template::{self, USER};
use super::user::User;
use super::{LabError, port, program};

/// A PostgreSQL server on a loopback port of its own. When it is dropped, and when this process
/// dies, it is killed and what it has written is removed.
#[derive(Debug)]
pub struct PostgresServer {
    keeper: Keeper,
    options: PostgresOptions,
    user: Option<User>,
    address: SocketAddr,
    databases: AtomicU32,
}

const PROGRAM: &str = "postgres";

impl PostgresServer {
    /// Starts a server with an empty database; returns when it answers.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not accept the options; or this runs as root, and there is no
    /// user `postgres`.
    pub async fn launch(options: PostgresOptions) -> Result<Self, LabError> {
        start::launch(async || Self::launch_once(options.clone()).await).await
    }

    async fn launch_once(options: PostgresOptions) -> Result<Self, LabError> {
        let program = program::find_postgres()?.join(PROGRAM);
        let address = port::free()?;
        let (home, user) = template::new_home()?;
        if options.has_tls {
            Certificates::make(home.path()).await?;
            user.map_or(Ok(()), |user| Certificates::own(home.path(), user))?;
        }
        let command = [vec![program.into()], options.arguments(home.path(), address)].concat();
        let keeper = Keeper::new(home, &command, user)?;
        let server = Self { keeper, options, user, address, databases: AtomicU32::new(0) };
        server.make_data().await?;
        server.start(Data::Kept).await?;
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Where its first database is, for a role that may do everything.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address)
    }

    /// The same, but for another address, such as that of a proxy.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        self.url_of(address, "postgres")
    }

    /// Makes one more database, which is empty; gives its URL.
    ///
    /// # Errors
    ///
    /// It does not run, or has no room.
    pub async fn new_database(&self) -> Result<String, LabError> {
        let name = format!("lab_{}", self.databases.fetch_add(1, Relaxed));
        let made = async {
            let mut connection = PgConnection::connect(&self.url()).await?;
            // A name cannot be bound; this one is ours.
            let statement = AssertSqlSafe(format!("create database {name}"));
            sqlx::query(statement).execute(&mut connection).await?;
            connection.close().await
        };
        made.await.map_err(|error| LabError::refused("creating a database", error))?;
        Ok(self.url_of(self.address, &name))
    }

    fn url_of(&self, address: SocketAddr, database: &str) -> String {
        let password = self.options.password.as_ref();
        let secret = password.map_or_else(String::new, |password| format!(":{password}"));
        format!("postgres://{USER}{secret}@{address}/{database}")
    }

    /// The certificate of the authority that vouches for it, if it has TLS; PEM.
    #[must_use]
    pub fn authority(&self) -> Option<PathBuf> {
        self.options.has_tls.then(|| Certificates::paths(self.directory()).authority)
    }

    /// Its process, unless it was killed. The sessions have processes of their own.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.keeper.pid()
    }

    /// What it writes is under here, and removed with it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.keeper.directory()
    }

    /// Stops it and all its sessions as they stand: it keeps its connections and the kernel
    /// accepts new ones for it, but nothing is answered.
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

    /// Kills it and all its sessions, frozen or not; returns when they are gone.
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
            fs::remove_dir_all(self.data())
                .map_err(|source| LabError::io("removing the data of a server", source))?;
            self.make_data().await?;
        }
        // A process that has got the number of the killed server would be taken for it.
        drop(fs::remove_file(self.data().join("postmaster.pid")));
        start::start(&self.keeper, PROGRAM, async || self.answers().await.is_ok()).await
    }

    fn data(&self) -> PathBuf {
        self.keeper.directory().join("data")
    }

    async fn make_data(&self) -> Result<(), LabError> {
        template::copy(&self.data(), self.user, self.options.password.as_deref()).await
    }

    async fn answers(&self) -> sqlx::Result<()> {
        let mut connection = PgConnection::connect(&self.url()).await?;
        connection.ping().await?;
        connection.close().await
    }
}
