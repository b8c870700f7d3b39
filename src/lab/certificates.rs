//! Certificates for servers of one's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::user::User;
use super::{LabError, program};

/// The files, PEM, with which a server shows who it is.
#[derive(Debug)]
pub(super) struct Certificates {
    /// The certificate of whoever has signed the other.
    pub(super) authority: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// What the certificate is good for.
const NAMES: &str = "subjectAltName=IP:127.0.0.1,DNS:localhost\n";

/// A new key, of the smallest kind that everybody accepts, without a password.
const NEW_KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/// Longer than any test.
const DAYS: [&str; 2] = ["-days", "30"];

impl Certificates {
    /// Where the files are, or will be, in the directory of a server.
    pub(super) fn paths(home: &Path) -> Self {
        let [authority, certificate, key] =
            ["authority.pem", "certificate.pem", "key.pem"].map(|name| home.join(name));
        Self { authority, certificate, key }
    }

    /// Makes an authority, and lets it sign a certificate for this machine's loopback interface.
    pub(super) async fn make(home: &Path) -> Result<(), LabError> {
        fs::write(home.join("names"), NAMES)
            .map_err(|source| LabError::io("writing a file", source))?;
        let own = ["-keyout", "authority.key", "-out", "authority.pem", "-subj", "/CN=authority"];
        openssl(home, &[&["req", "-x509"], &NEW_KEY[..], &DAYS, &own].concat()).await?;
        let request = ["-keyout", "key.pem", "-out", "request.pem", "-subj", "/CN=localhost"];
        openssl(home, &[&["req"], &NEW_KEY[..], &request].concat()).await?;
        let sign = ["x509", "-req", "-in", "request.pem", "-out", "certificate.pem"];
        let with = ["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial"];
        openssl(home, &[&sign[..], &with, &DAYS, &["-extfile", "names"]].concat()).await
    }

    /// Gives the user what a server has to be able to read.
    pub(super) fn own(home: &Path, user: User) -> Result<(), LabError> {
        let Self { certificate, key, .. } = Self::paths(home);
        user.own(&certificate)?;
        user.own(&key)
    }
}

async fn openssl(home: &Path, arguments: &[&str]) -> Result<(), LabError> {
    let mut openssl = Command::new(program::find("openssl", "openssl")?);
    openssl.args(arguments).current_dir(home);
    program::finish("openssl", openssl, "").await
}
