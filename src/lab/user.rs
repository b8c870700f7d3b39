//! Another user to run as, where root may not.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::LabError;

/// A user of this system.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// The user of that name if `directory`, which we have made, belongs to root: then we are
    /// root, and may become others.
    pub(super) fn instead_of_root(name: &str, directory: &Path) -> Result<Option<Self>, LabError> {
        let failed = |source| LabError::io("looking for a user", source);
        if fs::metadata(directory).map_err(failed)?.uid() != 0 {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").map_err(failed)?;
        let user = users.lines().find_map(|line| Self::named(name, line));
        user.map(Some).ok_or_else(|| LabError::NoUser { name: name.to_owned() })
    }

    /// The user of a line such as `postgres:x:105:113::/var/lib/postgresql:/bin/bash`.
    fn named(name: &str, line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let is_named = fields.next() == Some(name);
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        is_named.then_some(Self { uid, gid })
    }

    /// Gives the user a file or directory.
    pub(super) fn own(self, path: &Path) -> Result<(), LabError> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .map_err(|source| LabError::io("giving a directory to a user", source))
    }

    /// Lets the command run as the user.
    pub(super) fn run(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let line = "postgres:x:105:113:administrator,,,:/var/lib/postgresql:/bin/bash";
        let user = User::named("postgres", line).unwrap();
        assert_eq!((user.uid, user.gid), (105, 113));
        assert!(User::named("post", line).is_none());
        assert!(User::named("postgres", "postgres:x").is_none());
    }
}
