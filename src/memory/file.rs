//! The file: read as a whole, and replaced as a whole, by one process at a time.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::envelope::BYTES_MAX;

/// The right to write a file, as long as it is held. The system takes it back from a process that
/// ends, however it does.
#[derive(Debug)]
pub(super) struct Lock {
    #[expect(dead_code, reason = "the lock is held for as long as the file is open")]
    file: Option<File>,
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("there is no such file")]
    Missing,
    #[error("the file cannot be read ({0})")]
    Read(#[source] io::Error),
    #[error("the file is larger than {BYTES_MAX} bytes")]
    TooLarge,
    #[error("the file is not one of forewarm's")]
    Magic,
    #[error("the file is of format {0}, which this version does not know")]
    Format(u8),
    #[error("the file is not complete, or has more in it than it should")]
    Length,
    #[error("the checksum of the file is wrong")]
    Checksum,
    #[error("the contents of the file cannot be read")]
    Contents,
    #[error("the file is that of an engine with another prefix")]
    Prefix,
    #[error("the thread that reads it has panicked, or could not be started")]
    Thread,
}

impl ReadError {
    /// Whether no file of somebody else's is lost if another one takes the place of this one. What
    /// cannot be read may be anybody's, and we write none that is too large.
    pub(super) fn lets_replace(&self) -> bool {
        matches!(self, Self::Missing | Self::Length | Self::Checksum | Self::Contents)
    }
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error(
        "another engine writes it. If that is one that is about to end, there is nothing to do; if \
         not, give each engine a file of its own"
    )]
    Taken,
    #[error("the file cannot be written ({0})")]
    Write(#[from] io::Error),
    #[error("it would be {0} bytes long, and no more than {BYTES_MAX} are read")]
    TooLarge(usize),
    #[error("it cannot be encoded ({0})")]
    Encoding(#[source] postcard::Error),
    #[error("{0}; it is left as it is")]
    Foreign(#[source] ReadError),
    #[error("the thread that writes it has panicked, or could not be started")]
    Thread,
}

impl Lock {
    /// Takes the right to write the file at `path`: beside it stands an empty file for that, since
    /// the file itself is replaced.
    pub(super) fn take(path: &Path) -> Result<Self, WriteError> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        mode::make_private(&mut options);
        let file = options.open(beside(path, ".lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(WriteError::Taken),
            // Some file systems know no locks. Then the last one wins, who replaces it as a whole.
            Err(TryLockError::Error(_)) => Ok(Self { file: None }),
        }
    }
}

/// The bytes of the file at `path`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    let found = fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => ReadError::Missing,
        _ => ReadError::Read(error),
    })?;
    // To open a pipe or a device may wait for ever.
    if !found.is_file() {
        return Err(ReadError::Magic);
    }
    if found.len() > BYTES_MAX {
        return Err(ReadError::TooLarge);
    }
    let file = File::open(path).map_err(ReadError::Read)?;
    let mut bytes = Vec::new();
    // It may have grown: one more than there may be, so that that is seen.
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(ReadError::Read)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(ReadError::TooLarge);
    }
    Ok(bytes)
}

/// Puts a file with these bytes at `path`, which only its owner may read. Whenever the machine stops,
/// there is the old one or the new one.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let new = beside(path, ".new");
    // One that an earlier process has left there may be open to others.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    mode::make_private(&mut options);
    let mut file = options.open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&new, path)?;
    mode::sync_directory(path);
    Ok(())
}

/// The path of a file beside another.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(ending);
    path.with_file_name(name)
}

#[cfg(unix)]
mod mode {
    use std::fs::{File, OpenOptions};
    use std::os::unix::fs::OpenOptionsExt as _;
    use std::path::Path;

    /// What is made is for its owner alone.
    pub(super) fn make_private(options: &mut OpenOptions) {
        options.mode(0o600);
    }

    /// Has the directory remember that a file was renamed. If it cannot, the old file may be there
    /// after the machine has stopped, which is as good.
    pub(super) fn sync_directory(path: &Path) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = File::open(parent.unwrap_or_else(|| Path::new(".")));
        drop(directory.and_then(|directory| directory.sync_all()));
    }
}

#[cfg(not(unix))]
mod mode {
    use std::fs::OpenOptions;
    use std::path::Path;

    /// The rights of what is made are those of its directory.
    pub(super) fn make_private(_options: &mut OpenOptions) {}

    /// Directories cannot be synced.
    pub(super) fn sync_directory(_path: &Path) {}
}
