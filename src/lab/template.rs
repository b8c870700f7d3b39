//! The data of a PostgreSQL server that has never run.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::keeper::Keeper;
use super::user::User;
use super::{LabError, home, program};

/// Whom Debian lets run PostgreSQL, which does not run as root. Also the name of the role that may
/// do everything.
pub(super) const USER: &str = "postgres";

/// Made once in a process: that takes a second or more, a copy does not.
static TEMPLATE: OnceCell<Keeper> = OnceCell::const_new();

/// Who may do what, once there is a password.
const WITH_PASSWORD: &str = "host all all 127.0.0.1/32 scram-sha-256\n";

/// A new directory for a server, and who has to own what is in it.
pub(super) fn new_home() -> Result<(TempDir, Option<User>), LabError> {
    let home = home::new("forewarm-postgres-")?;
    let user = User::instead_of_root(USER, home.path())?;
    if let Some(user) = user {
        user.own(home.path())?;
    }
    Ok((home, user))
}

/// Puts the data of a server that has never run at `data`, where there is nothing.
pub(super) async fn copy(
    data: &Path,
    user: Option<User>,
    password: Option<&str>,
) -> Result<(), LabError> {
    let template = TEMPLATE.get_or_try_init(make).await?.directory().join("data");
    let copy = ["-R".into(), template.into(), data.into()];
    program::finish("cp", command("cp", &copy, user), "").await?;
    if let Some(password) = password {
        protect(data, user, password).await?;
    }
    Ok(())
}

async fn make() -> Result<Keeper, LabError> {
    let (home, user) = new_home()?;
    let arguments = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "-U", USER];
    // The least that a log of changes may begin with, since it is copied too.
    let mut arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
    arguments.extend(["--wal-segsize=1".into(), "-D".into(), home.path().join("data").into()]);
    let initdb = command(program::find_postgres()?.join("initdb"), &arguments, user);
    program::finish("initdb", initdb, "").await?;
    // There is no server in it: it is kept so that it is removed when this process ends.
    Keeper::new(home, &[], user)
}

/// Sets the password, before anybody can connect without it.
async fn protect(data: &Path, user: Option<User>, password: &str) -> Result<(), LabError> {
    let arguments = ["--single".into(), "-D".into(), data.into(), "postgres".into()];
    let postgres = command(program::find_postgres()?.join("postgres"), &arguments, user);
    let statement = format!("alter role {USER} password '{}'", password.replace('\'', "''"));
    program::finish("postgres", postgres, &statement).await?;
    std::fs::write(data.join("pg_hba.conf"), WITH_PASSWORD)
        .map_err(|source| LabError::io("writing pg_hba.conf", source))
}

fn command(
    program: impl AsRef<std::ffi::OsStr>,
    arguments: &[OsString],
    user: Option<User>,
) -> Command {
    let mut command = Command::new(program);
    // Where we are is not always a place where the other user may be.
    command.args(arguments).current_dir("/");
    if let Some(user) = user {
        user.run(&mut command);
    }
    command
}
