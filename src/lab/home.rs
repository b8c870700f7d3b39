//! Where servers write.

use std::env;
use std::path::Path;

use tempfile::TempDir;

use super::LabError;

/// Memory that looks like a disk. A PostgreSQL server begins with a thousand small files, which a
/// busy disk takes seconds to create.
const IN_MEMORY: &str = "/dev/shm";

/// Room for some twenty servers. A container often has far less there.
const FREE_BYTES_MIN: u64 = 1 << 30;

/// A new directory, in memory if there is plenty of room.
pub(super) fn new(prefix: &str) -> Result<TempDir, LabError> {
    let in_memory = Path::new(IN_MEMORY);
    let has_room = free_bytes(in_memory).is_some_and(|bytes| bytes >= FREE_BYTES_MIN);
    let place = if has_room { in_memory } else { &env::temp_dir() };
    let home = tempfile::Builder::new().prefix(prefix).tempdir_in(place);
    home.map_err(|source| LabError::io("making a directory", source))
}

fn free_bytes(place: &Path) -> Option<u64> {
    let place = rustix::fs::statvfs(place).ok()?;
    place.f_bavail.checked_mul(place.f_frsize)
}
