//! The scripts that run on the server, and how one is called.

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::LazyLock;

use redis::{Cmd, Script as Hash};

/// A script.
#[derive(Debug)]
pub(super) struct Script {
    code: String,
    hash: String,
}

impl Script {
    /// With its flags: one that may write is refused by a copy of the server, and one that may not
    /// exceed the server's memory by a server without any.
    fn new(flags: &str, parts: &[&str]) -> Self {
        let code = format!("#!lua{flags}\n{}", parts.concat());
        let hash = Hash::new(&code).get_hash().to_owned();
        Self { code, hash }
    }
}

/// Goes on without memory to spare: what it stores is small, or less than what it removes.
const FRUGAL: &str = " flags=allow-oom";

const IDENTITY: &str = include_str!("identity.lua");
const HEAD: &str = include_str!("head.lua");
const GLOB: &str = include_str!("glob.lua");
const EPOCHS: &str = include_str!("epochs.lua");
const VALUES: &str = include_str!("values.lua");
const LOG: &str = include_str!("log.lua");
const ROWS: &str = include_str!("rows.lua");

/// The handshake. Unlike the others, it is called with its own arguments only.
pub(super) static HELLO: LazyLock<Script> =
    LazyLock::new(|| Script::new(FRUGAL, &[IDENTITY, include_str!("hello.lua")]));

pub(super) static BEGIN: LazyLock<Script> =
    LazyLock::new(|| Script::new(FRUGAL, &[HEAD, GLOB, EPOCHS, VALUES, include_str!("begin.lua")]));

pub(super) static FILL: LazyLock<Script> =
    LazyLock::new(|| Script::new("", &[HEAD, GLOB, EPOCHS, VALUES, include_str!("fill.lua")]));

pub(super) static RELEASE: LazyLock<Script> =
    LazyLock::new(|| Script::new(FRUGAL, &[HEAD, include_str!("release.lua")]));

pub(super) static INVALIDATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(FRUGAL, &[HEAD, GLOB, EPOCHS, LOG, include_str!("invalidate.lua")])
});

pub(super) static EXPIRE: LazyLock<Script> =
    LazyLock::new(|| Script::new(FRUGAL, &[HEAD, LOG, include_str!("expire.lua")]));

pub(super) static PUT: LazyLock<Script> =
    LazyLock::new(|| Script::new("", &[HEAD, GLOB, EPOCHS, VALUES, LOG, include_str!("put.lua")]));

pub(super) static POLL: LazyLock<Script> =
    LazyLock::new(|| Script::new(FRUGAL, &[HEAD, IDENTITY, include_str!("poll.lua")]));

pub(super) static HOT: LazyLock<Script> =
    LazyLock::new(|| Script::new("", &[HEAD, include_str!("hot.lua")]));

pub(super) static MEET_JOBS: LazyLock<Script> =
    LazyLock::new(|| Script::new(FRUGAL, &[HEAD, include_str!("meet_jobs.lua")]));

pub(super) static TAKE_RUN: LazyLock<Script> =
    LazyLock::new(|| Script::new(FRUGAL, &[HEAD, ROWS, include_str!("take_run.lua")]));

pub(super) static RENEW_RUNS: LazyLock<Script> =
    LazyLock::new(|| Script::new(FRUGAL, &[HEAD, ROWS, include_str!("renew_runs.lua")]));

pub(super) static END_RUN: LazyLock<Script> =
    LazyLock::new(|| Script::new(FRUGAL, &[HEAD, ROWS, include_str!("end_run.lua")]));

pub(super) static NEWEST_RUNS: LazyLock<Script> =
    LazyLock::new(|| Script::new(FRUGAL, &[HEAD, ROWS, include_str!("newest_runs.lua")]));

pub(super) static LAPSED_RUNS: LazyLock<Script> =
    LazyLock::new(|| Script::new(FRUGAL, &[HEAD, ROWS, include_str!("lapsed_runs.lua")]));

pub(super) static SWEEP_RUNS: LazyLock<Script> =
    LazyLock::new(|| Script::new(FRUGAL, &[HEAD, ROWS, include_str!("sweep_runs.lua")]));

pub(super) static SWEEP: LazyLock<Script> =
    LazyLock::new(|| Script::new(FRUGAL, &[HEAD, GLOB, EPOCHS, VALUES, include_str!("sweep.lua")]));

pub(super) static TIDY: LazyLock<Script> =
    LazyLock::new(|| Script::new(FRUGAL, &[HEAD, GLOB, EPOCHS, include_str!("tidy.lua")]));

/// A script with what it is called with.
#[derive(Debug)]
pub(super) struct Call<'a> {
    script: &'static Script,
    keys: Vec<Vec<u8>>,
    args: Vec<Cow<'a, [u8]>>,
}

impl<'a> Call<'a> {
    pub(super) fn new(script: &'static Script) -> Self {
        Self { script, keys: Vec::new(), args: Vec::new() }
    }

    pub(super) fn key(&mut self, key: Vec<u8>) {
        self.keys.push(key);
    }

    pub(super) fn arg(&mut self, arg: impl Into<Cow<'a, [u8]>>) {
        self.args.push(arg.into());
    }

    pub(super) fn number(&mut self, number: impl Display) {
        self.arg(format!("{number}").into_bytes());
    }

    /// The command that calls the script, which the server is to know by its hash or is given in
    /// full. `head` goes before the other arguments.
    pub(super) fn command(&self, head: &[&[u8]], how: By) -> Cmd {
        let mut command = match how {
            By::Hash => redis::cmd("EVALSHA"),
            By::Code => redis::cmd("EVAL"),
        };
        match how {
            By::Hash => command.arg(&self.script.hash),
            By::Code => command.arg(&self.script.code),
        };
        command.arg(self.keys.len());
        for key in &self.keys {
            command.arg(&key[..]);
        }
        for arg in head {
            command.arg(*arg);
        }
        for arg in &self.args {
            command.arg(&arg[..]);
        }
        command
    }
}

/// How the server is told which script to run.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    Hash,
    Code,
}
