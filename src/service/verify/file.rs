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

/// Copies the file as it is now into a new folder beside its own; gives the folder.
pub(super) async fn copy(path: &Path) -> sqlx::Result<PathBuf> {
    let folder = beside(path)?;
    fs::create_dir(&folder)?;
    let copy = folder.join(path.file_name().unwrap_or_default());
    let mut connection = open(path).await?;
    query("vacuum into ?1").bind(copy.to_string_lossy()).execute(&mut connection).await?;
    connection.close().await?;
    Ok(folder)
}

/// Takes the file away, with all that SQLite has put beside it, and puts the folder with another
/// file in its place, or an empty one.
pub(super) fn replace(path: &Path, folder: Option<&Path>) -> io::Result<()> {
    let home = path.parent().ok_or(io::ErrorKind::NotFound)?;
    let folder = match folder {
        Some(folder) => folder.to_owned(),
        None => {
            let folder = beside(path)?;
            fs::create_dir(&folder)?;
            folder
        }
    };
    // In one step, or the file that is there would meet what belongs to the other.
    fs::rename(home, beside(path)?)?;
    fs::rename(folder, home)
}

/// A name for a folder beside that of the file, which nothing has.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let home = path.parent().ok_or(io::ErrorKind::NotFound)?;
    let mut names = (1..).map(|nth| home.with_extension(format!("{nth}")));
    names.find(|name| !name.exists()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

async fn open(path: &Path) -> sqlx::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT);
    options.connect().await
}
