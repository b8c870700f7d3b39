//! Where programs are, and running them to their end.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::LabError;

/// Where Debian keeps the programs of PostgreSQL: a folder for each version, in no one's path.
const POSTGRES_HOME: &str = "/usr/lib/postgresql";

/// How often it is looked whether a program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The program of that name in the path, or where the system keeps those of administrators.
pub(super) fn find(program: &'static str, package: &'static str) -> Result<PathBuf, LabError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let mut found = folders.map(|folder| folder.join(program)).filter(|file| file.is_file());
    found.next().ok_or(LabError::Missing { program, package })
}

/// The folder of the newest PostgreSQL server, which has to hold `initdb` as well.
pub(super) fn find_postgres() -> Result<PathBuf, LabError> {
    if let Some(folder) = newest(Path::new(POSTGRES_HOME)) {
        return Ok(folder);
    }
    // Elsewhere the programs are in the path, or links to where they belong together.
    let initdb = find("initdb", "postgresql")?;
    let initdb = initdb.canonicalize().map_err(|source| LabError::io("finding initdb", source))?;
    let folder = initdb.parent().filter(|folder| is_whole(folder)).map(Path::to_owned);
    folder.ok_or(LabError::Missing { program: "postgres", package: "postgresql" })
}

/// The `bin` of the highest version under `home` that has a server.
fn newest(home: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(home).ok()?.filter_map(Result::ok).filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse::<u32>().ok()?;
        let folder = entry.path().join("bin");
        is_whole(&folder).then_some((number, folder))
    });
    versions.max().map(|(_, folder)| folder)
}

fn is_whole(folder: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| folder.join(program).is_file())
}

/// Runs a program to its end, with `input` to read.
pub(super) async fn finish(
    program: &'static str,
    mut command: Command,
    input: &str,
) -> Result<(), LabError> {
    let failed = |source| LabError::io(program, source);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = process.stdin.take() {
        // If it has ended without reading it, it says why.
        drop(stdin.write_all(input.as_bytes()));
    }
    while process.try_wait().map_err(failed)?.is_none() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let output = process.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let last_words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::Ended { program, last_words })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let error = find("no-such-program", "its-package").unwrap_err().to_string();
        assert!(error.contains("no-such-program") && error.contains("apt-get install its-package"));
    }

    #[test]
    fn the_newest_whole_server_is_taken() {
        let home = tempfile::tempdir().unwrap();
        for (version, programs) in
            [("9", &["initdb", "postgres"][..]), ("15", &["initdb", "postgres"]), ("17", &["psql"])]
        {
            let folder = home.path().join(version).join("bin");
            fs::create_dir_all(&folder).unwrap();
            programs.iter().for_each(|program| fs::write(folder.join(program), "").unwrap());
        }
        assert_eq!(newest(home.path()), Some(home.path().join("15/bin")));
    }
}
