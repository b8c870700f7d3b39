//! The shell between us and a server, which ends the server when we end.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use parking_lot::Mutex;
use tempfile::TempDir;

use super::LabError;
use super::user::User;

/// What the shell does; the order of its commands is what this file relies on.
const SCRIPT: &str = include_str!("keeper.sh");

/// The most of a server's log that an error quotes.
const LAST_WORDS_BYTES: usize = 2_000;

/// A directory, and the server that may run in it.
///
/// A shell of its own starts the server, signals it, and waits for it. When it is dropped, and
/// when this process dies in whatever way, the shell kills the server and removes the directory.
#[derive(Debug)]
pub(super) struct Keeper {
    directory: PathBuf,
    shell: Mutex<Shell>,
}

#[derive(Debug)]
struct Shell {
    process: Child,
    /// Closed first of all when the keeper goes: that is the last order.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    server: Option<u32>,
}

impl Keeper {
    /// Takes care of `directory`, and of the server that `command` will start when it is told to.
    pub(super) fn new(
        directory: TempDir,
        command: &[OsString],
        user: Option<User>,
    ) -> Result<Self, LabError> {
        let failed = |source| LabError::io("starting a shell", source);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SCRIPT, "keeper"]).arg(directory.path()).args(command);
        // Alone in its group, it is not told of a Ctrl-C, and lives to clear up after us.
        shell.process_group(0).current_dir(directory.path()).env("LC_ALL", "C");
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        if let Some(user) = user {
            user.own(directory.path())?;
            user.run(&mut shell);
        }
        let mut process = shell.spawn().map_err(failed)?;
        let (orders, answers) = (process.stdin.take(), process.stdout.take());
        let answers = answers.ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        let answers = BufReader::new(answers);
        let shell = Shell { process, orders, answers, server: None };
        // From here on the shell removes it.
        Ok(Self { directory: directory.keep(), shell: Mutex::new(shell) })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The server's process, unless it was killed or not yet started.
    pub(super) fn pid(&self) -> Option<u32> {
        self.shell.lock().server
    }

    /// Starts the server; it need not answer yet.
    pub(super) fn start(&self) -> Result<(), LabError> {
        let mut shell = self.shell.lock();
        if shell.server.is_some() {
            return Err(LabError::State("the server has been started already"));
        }
        let answer = shell.order("start")?;
        let pid = answer.parse().map_err(|_error| LabError::State("the shell names no process"))?;
        shell.server = Some(pid);
        Ok(())
    }

    /// Stops the server and all that it has started, at once: it keeps its connections, and the
    /// kernel still accepts new ones for it, but nothing is answered.
    pub(super) fn freeze(&self) -> Result<(), LabError> {
        self.shell.lock().order_alive("freeze")
    }

    /// Lets it go on where it was stopped.
    pub(super) fn thaw(&self) -> Result<(), LabError> {
        self.shell.lock().order_alive("thaw")
    }

    /// Kills the server and all that it has started; returns when they are gone.
    pub(super) fn kill(&self) -> Result<(), LabError> {
        let mut shell = self.shell.lock();
        shell.order("kill")?;
        shell.server = None;
        Ok(())
    }

    /// Whether the server has not ended, by itself or killed.
    pub(super) fn is_alive(&self) -> bool {
        self.shell.lock().order_alive("look").is_ok()
    }

    /// The end of what the server has written.
    pub(super) fn last_words(&self) -> String {
        let log = std::fs::read(self.directory.join("log")).unwrap_or_default();
        let (_, end) = log.split_at(log.len().saturating_sub(LAST_WORDS_BYTES));
        String::from_utf8_lossy(end).trim().to_owned()
    }
}

impl Shell {
    fn order(&mut self, order: &'static str) -> Result<String, LabError> {
        let mut answer = String::new();
        let orders = self.orders.as_mut().ok_or(LabError::State("the shell has ended"))?;
        let told = writeln!(orders, "{order}").and_then(|()| orders.flush());
        told.and_then(|()| self.answers.read_line(&mut answer))
            .map_err(|source| LabError::io("talking to the shell of a server", source))?;
        let answer = answer.trim();
        if answer.is_empty() {
            return Err(LabError::State("the shell of a server has died"));
        }
        Ok(answer.to_owned())
    }

    /// Gives an order that only a living server can follow.
    fn order_alive(&mut self, order: &'static str) -> Result<(), LabError> {
        let is_alive = self.server.is_some() && self.order(order)? != "dead";
        if is_alive { Ok(()) } else { Err(LabError::State("the server does not run")) }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let shell = self.shell.get_mut();
        drop(shell.orders.take());
        // It has nothing left to say to whoever drops a server.
        drop(shell.process.wait());
    }
}
