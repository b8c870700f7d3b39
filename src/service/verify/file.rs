//! What may happen to an SQLite file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, query};

/// How long it is waited for the nodes, of which one may have been stopped in the middle of a write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Writes to the file, and does not come to an end until the connection is given to [`unlock`].
pub(super) async fn lock(path: &Path) -> sqlx::Result<SqliteConnection> {
    let mut connection = open(path).await?;
    query("begin immediate").execute(&mut connection).await?;
    Ok(connection)
}

pub(super) async fn unlock(mut connection: SqliteConnection) -> sqlx::Result<()> {
    query("rollback").execute(&mut connection).await?;
    connection.close().await
}

/// Copies the file as it is now; gives where the copy is.
pub(super) async fn copy(path: &Path) -> sqlx::Result<PathBuf> {
    let copy = unused(path)?;
    let mut connection = open(path).await?;
    query("vacuum into ?1").bind(copy.to_string_lossy()).execute(&mut connection).await?;
    connection.close().await?;
    Ok(copy)
}

/// Takes the file away, with what SQLite has put beside it, and puts another in its place, or
/// none: then whoever comes first makes a new one.
pub(super) fn replace(path: &Path, other: Option<&Path>) -> io::Result<()> {
    let gone = unused(path)?;
    // Before the file itself: the other one must not meet what belongs to this one.
    for suffix in ["-wal", "-shm"] {
        match fs::rename(with(path, suffix), with(&gone, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    match other {
        Some(other) => fs::rename(other, path),
        None => fs::rename(path, gone),
    }
}

/// A name like that of the file which nothing has.
fn unused(path: &Path) -> io::Result<PathBuf> {
    let mut names = (1..).map(|nth| path.with_extension(format!("{nth}")));
    let name = names.find(|name| !name.exists() && !with(name, "-wal").exists());
    name.ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

async fn open(path: &Path) -> sqlx::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT);
    options.connect().await
}
