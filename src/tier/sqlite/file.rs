//! The file itself: what may be one, and how it is told from another of the same name.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::ConfigError;

/// Says what cannot be, or become, a database. A file that is there is not opened for it.
pub(super) fn check(path: &Path) -> Result<(), ConfigError> {
    let wrong = |problem, remedy| Err(ConfigError::new("path", problem, remedy));
    let Some(text) = path.to_str() else {
        return wrong("is not UTF-8", "give a path in UTF-8, as SQLite wants it");
    };
    if text.is_empty() {
        return wrong("is empty", "give the path of a file, such as `forewarm.db`");
    }
    if text.contains('\0') || path.file_name().is_none() {
        return wrong("names no file", "give the path of a file, such as `forewarm.db`");
    }
    if !directory(path).is_dir() {
        return wrong("is in a directory that does not exist", "make the directory first");
    }
    let Ok(there) = fs::symlink_metadata(path) else {
        // It will be created, or the attempt will say why it cannot be.
        return Ok(());
    };
    if there.is_symlink() {
        return wrong("is a symbolic link", "give the path of the file that it leads to");
    }
    if there.is_dir() {
        return wrong("is a directory", "give the path of a file in it");
    }
    if !there.is_file() {
        return wrong("is not a regular file", "give the path of a regular file");
    }
    Ok(())
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Creates the file if it is missing, readable and writable by its owner only. SQLite gives the
/// files that it puts beside it the same mode.
pub(super) fn create(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut options = OpenOptions::new();
    restrict(options.write(true).create_new(true));
    match options.open(path) {
        // Another process was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

#[cfg(unix)]
fn restrict(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;

    options.mode(0o600);
}

#[cfg(not(unix))]
fn restrict(_options: &mut OpenOptions) {}

/// What tells a file from another one that has taken its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct FileId {
    device_and_inode: Option<(u64, u64)>,
    created: Option<SystemTime>,
}

impl FileId {
    /// The file that now has this name, if there is one.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let there = fs::symlink_metadata(path).ok()?;
        Some(Self { device_and_inode: device_and_inode(&there), created: there.created().ok() })
    }
}

impl fmt::Display for FileId {
    /// The same for the same file, whatever process says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (device, inode) = self.device_and_inode.unwrap_or_default();
        let created = self.created.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        write!(f, "{device} {inode} {}", created.unwrap_or_default().as_nanos())
    }
}

#[cfg(unix)]
fn device_and_inode(there: &fs::Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;

    Some((there.dev(), there.ino()))
}

#[cfg(not(unix))]
fn device_and_inode(_there: &fs::Metadata) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn what_cannot_be_a_database_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let [file, link, gone] = ["file", "link", "gone"].map(|name| home.path().join(name));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let cases: [(PathBuf, Option<&str>); 8] = [
            (file.clone(), None),
            (gone.clone(), None),
            (PathBuf::new(), Some("is empty")),
            (home.path().to_owned(), Some("is a directory")),
            (link, Some("is a symbolic link")),
            (gone.join("file"), Some("does not exist")),
            (file.join("file"), Some("does not exist")),
            (PathBuf::from("/dev/null"), Some("is not a regular file")),
        ];
        for (path, problem) in cases {
            match (check(&path), problem) {
                (Ok(()), None) => {}
                (Err(error), Some(problem)) => {
                    assert_eq!(error.field(), "path");
                    assert!(error.to_string().contains(problem), "{path:?}: {error}");
                }
                (checked, _) => panic!("{path:?}: {checked:?}"),
            }
        }
    }

    #[test]
    fn a_file_that_took_the_name_of_another_is_told_from_it() {
        let home = tempfile::tempdir().unwrap();
        let [path, other] = ["file", "other"].map(|name| home.path().join(name));
        create(&path).unwrap();
        create(&other).unwrap();
        let first = FileId::of(&path);
        fs::write(&path, "changed").unwrap();
        create(&path).unwrap();
        assert_eq!(FileId::of(&path), first);
        fs::rename(&other, &path).unwrap();
        assert_ne!(FileId::of(&path), first);
        fs::remove_file(&path).unwrap();
        assert_eq!(FileId::of(&path), None);
    }
}
