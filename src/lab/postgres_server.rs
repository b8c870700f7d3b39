//! A PostgreSQL server of one's own.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::keeper::Keeper;
use super::ready::{self, Data};
use super::user::User;
use super::{LabError, port, program};

/// How a PostgreSQL server is set up. By default it asks for no password and never waits for a
/// disk, which loses nothing as long as the system itself does not fail.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    settings: Vec<(&'static str, String)>,
}

impl PostgresOptions {
    /// Any setting of the server.
    #[must_use]
    pub fn setting(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.settings.push((name, value.into()));
        self
    }

    fn arguments(&self, data: &Path, address: SocketAddr) -> Vec<OsString> {
        let mut settings = vec![
            ("listen_addresses", address.ip().to_string()),
            ("port", address.port().to_string()),
            ("unix_socket_directories", String::new()),
            ("fsync", "off".to_owned()),
            ("full_page_writes", "off".to_owned()),
            ("shared_buffers", "16MB".to_owned()),
        ];
        settings.extend(self.settings.iter().cloned());
        let settings = settings.iter().map(|(name, value)| format!("--{name}={value}").into());
        [OsString::from("-D"), data.into()].into_iter().chain(settings).collect()
    }
}

/// A PostgreSQL server on a loopback port of its own. When it is dropped, and when this process
/// dies, it is killed and what it has written is removed.
#[derive(Debug)]
pub struct PostgresServer {
    keeper: Keeper,
    user: Option<User>,
    address: SocketAddr,
    databases: AtomicU32,
}

const PROGRAM: &str = "postgres";

/// Whom Debian lets run PostgreSQL, which does not run as root. Also the name of the role that may
/// do everything.
const USER: &str = "postgres";

/// How often another port is tried, if somebody takes the one that was free a moment ago.
const PORTS_MAX: u32 = 5;

impl PostgresServer {
    /// Starts a server with an empty database; returns when it answers.
    ///
    /// # Errors
    ///
    /// It is not installed, or does not accept the options; or this runs as root, and there is no
    /// user `postgres`.
    pub async fn launch(options: PostgresOptions) -> Result<Self, LabError> {
        let mut tries = 1;
        loop {
            let server = Self::prepare(&options).await?;
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

    async fn prepare(options: &PostgresOptions) -> Result<Self, LabError> {
        let programs = program::find_postgres()?;
        let address = port::free()?;
        let (home, user) = home()?;
        let data = home.path().join("data");
        copy_template(&data, user).await?;
        let arguments = options.arguments(&data, address);
        let command = [vec![programs.join(PROGRAM).into()], arguments].concat();
        let keeper = Keeper::new(home, &command, user)?;
        Ok(Self { keeper, user, address, databases: AtomicU32::new(0) })
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
        format!("postgres://{USER}@{address}/postgres")
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
        Ok(format!("postgres://{USER}@{}/{name}", self.address))
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
        let directory = self.keeper.directory().join("data");
        if data == Data::Lost {
            std::fs::remove_dir_all(&directory)
                .map_err(|source| LabError::io("removing the data of a server", source))?;
            copy_template(&directory, self.user).await?;
        }
        // A process that has got the number of the killed server would be taken for it.
        drop(std::fs::remove_file(directory.join("postmaster.pid")));
        ready::start(&self.keeper, PROGRAM, async || self.answers().await.is_ok()).await
    }

    async fn answers(&self) -> sqlx::Result<()> {
        let mut connection = PgConnection::connect(&self.url()).await?;
        connection.ping().await?;
        connection.close().await
    }
}

/// A new directory, and who else may have to own it.
fn home() -> Result<(TempDir, Option<User>), LabError> {
    let home = tempfile::Builder::new().prefix("forewarm-postgres-").tempdir();
    let home = home.map_err(|source| LabError::io("making a directory", source))?;
    let user = User::instead_of_root(USER, home.path())?;
    if let Some(user) = user {
        user.own(home.path())?;
    }
    Ok((home, user))
}

/// The data of a server that has never run. Making it takes a second or more, copying it does not.
static TEMPLATE: OnceCell<Keeper> = OnceCell::const_new();

/// Puts the data of a server that has never run at `data`.
async fn copy_template(data: &Path, user: Option<User>) -> Result<(), LabError> {
    let template = TEMPLATE.get_or_try_init(make_template).await?.directory().join("data");
    finish("cp", PathBuf::from("cp"), &["-R".into(), template.into(), data.into()], user).await
}

async fn make_template() -> Result<Keeper, LabError> {
    let (home, user) = home()?;
    let arguments = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "-U", USER];
    let mut arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
    arguments.extend(["-D".into(), home.path().join("data").into()]);
    finish("initdb", program::find_postgres()?.join("initdb"), &arguments, user).await?;
    // There is no server in it: it is kept so that it is removed when this process ends.
    Keeper::new(home, &[], user)
}

/// Runs a program to its end.
async fn finish(
    name: &'static str,
    program: PathBuf,
    arguments: &[OsString],
    user: Option<User>,
) -> Result<(), LabError> {
    let failed = |source| LabError::io(name, source);
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/").stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    if let Some(user) = user {
        user.run(&mut command);
    }
    let mut process = command.spawn().map_err(failed)?;
    while process.try_wait().map_err(failed)?.is_none() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let output = process.wait_with_output().map_err(failed)?;
    let last_words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() {
        Ok(())
    } else {
        Err(LabError::Ended { program: name, last_words })
    }
}
