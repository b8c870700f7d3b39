//! The node processes.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use super::checker::Account;
use super::history::{self, Member};
use super::node::Orders;
use super::samples::{self, Sample};
use super::totals::Totals;
use crate::service::console::Failure;

/// The node processes. They end when this is dropped, and when this process dies.
#[derive(Debug)]
pub(super) struct Fleet {
    program: PathBuf,
    nodes: Mutex<Vec<Node>>,
}

/// A node, in its present life or after it.
struct Node {
    orders: Orders,
    process: Option<Child>,
}

/// The command of the program that makes it a node.
pub(in crate::service) const COMMAND: &str = "verify-node";

/// The longest that nodes are waited for, on a machine that is busy with other things.
const READY_WITHIN: Duration = Duration::from_mins(1);
const END_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Fleet {
    /// Starts a node for each of the orders; returns when all of them read.
    pub(super) async fn start(orders: Vec<Orders>) -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let nodes = orders.into_iter().map(|orders| Node::start(&program, orders));
        let nodes = nodes.collect::<io::Result<Vec<_>>>()?;
        let fleet = Self { program, nodes: Mutex::new(nodes) };
        let deadline = Instant::now() + READY_WITHIN;
        while !fleet.nodes.lock().iter().all(Node::is_ready) {
            fleet.check()?;
            if Instant::now() >= deadline {
                return Err(format!("the nodes were not ready within {READY_WITHIN:?}").into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(fleet)
    }

    /// How many nodes there are.
    pub(super) fn size(&self) -> usize {
        self.nodes.lock().len()
    }

    /// Fails if a node has ended by itself. It has said why.
    pub(super) fn check(&self) -> Result<(), Failure> {
        for node in &mut *self.nodes.lock() {
            if let Some(status) = node.ended()? {
                let Member { node, life } = node.orders.member;
                return Err(format!("node {node} has ended in its life {life}: {status}").into());
            }
        }
        Ok(())
    }

    /// What all nodes have done so far, in all their lives.
    pub(super) fn totals(&self) -> Totals {
        let mut sum = Totals::default();
        self.lives().iter().for_each(|orders| sum += Totals::read(&orders.totals()));
        sum
    }

    /// What each node has taken of the machine so far, in each of its lives.
    pub(super) fn samples(&self) -> Vec<(Member, Vec<Sample>)> {
        let of = |orders: Orders| (orders.member, samples::read(&orders.samples()));
        self.lives().into_iter().map(of).collect()
    }

    /// Stops a node where it stands.
    pub(super) fn freeze(&self, node: usize) -> io::Result<()> {
        self.signal(node, Signal::STOP)
    }

    /// Lets a node go on where it was stopped.
    pub(super) fn thaw(&self, node: usize) -> io::Result<()> {
        self.signal(node, Signal::CONT)
    }

    fn signal(&self, node: usize, signal: Signal) -> io::Result<()> {
        let nodes = self.nodes.lock();
        let Some(process) = nodes.get(node).and_then(|node| node.process.as_ref()) else {
            return Ok(());
        };
        // It is ours, and has not been waited for: so nobody else has its number.
        Ok(kill_process(Pid::from_child(process), signal)?)
    }

    /// Ends a node at once.
    pub(super) fn kill(&self, node: usize) -> io::Result<()> {
        self.nodes.lock().get_mut(node).map_or(Ok(()), Node::kill)
    }

    /// Starts a node that was killed, for another life.
    pub(super) fn restart(&self, node: usize) -> io::Result<()> {
        self.nodes.lock().get_mut(node).map_or(Ok(()), |node| {
            let mut orders = node.orders.clone();
            orders.member.life += 1;
            *node = Node::start(&self.program, orders)?;
            Ok(())
        })
    }

    /// Lets all nodes end, and gives what they have written down.
    pub(super) async fn end(self) -> Result<Vec<Account>, Failure> {
        self.check()?;
        let lives = self.lives();
        // That their standard input ends is what they wait for.
        self.nodes.lock().iter_mut().for_each(Node::let_go);
        let deadline = Instant::now() + END_WITHIN;
        while self.is_running()? {
            if Instant::now() >= deadline {
                return Err(format!("the nodes did not end within {END_WITHIN:?}").into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.check_end()?;
        let account = |orders: Orders| {
            let events = history::read(&orders.log())?;
            Ok(Account { member: orders.member, events })
        };
        lives.into_iter().map(account).collect()
    }

    fn is_running(&self) -> io::Result<bool> {
        let mut nodes = self.nodes.lock();
        let mut running = nodes.iter_mut().filter(|node| node.process.is_some());
        running.try_fold(false, |is_running, node| Ok(is_running | node.ended()?.is_none()))
    }

    /// Fails if a node has not ended as it should. It has said why.
    fn check_end(&self) -> Result<(), Failure> {
        for node in &mut *self.nodes.lock() {
            if let Some(status) = node.ended()?.filter(|status| !status.success()) {
                let Member { node, life } = node.orders.member;
                return Err(format!("node {node} failed in its life {life}: {status}").into());
            }
        }
        Ok(())
    }

    /// The orders of all lives that there have been.
    fn lives(&self) -> Vec<Orders> {
        let nodes = self.nodes.lock();
        let lives = nodes.iter().flat_map(|node| {
            (0..=node.orders.member.life).map(|life| {
                let member = Member { life, ..node.orders.member };
                Orders { member, ..node.orders.clone() }
            })
        });
        lives.collect()
    }
}

impl Node {
    fn start(program: &PathBuf, orders: Orders) -> io::Result<Self> {
        let mut command = Command::new(program);
        // Alone in its group, it is not told of a Ctrl-C. And if we die while it is stopped, the
        // kernel hangs up on it: that ends it.
        command.arg(COMMAND).process_group(0).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut process = command.spawn()?;
        let line = serde_json::to_string(&orders)? + "\n";
        let told = process.stdin.as_mut().map(|stdin| stdin.write_all(line.as_bytes()));
        let node = Self { orders, process: Some(process) };
        told.transpose()?;
        Ok(node)
    }

    fn is_ready(&self) -> bool {
        Totals::read(&self.orders.totals()).reads > 0
    }

    /// How it ended, if it has by itself.
    fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.as_mut().map_or(Ok(None), Child::try_wait)
    }

    fn let_go(&mut self) {
        if let Some(process) = &mut self.process {
            drop(process.stdin.take());
        }
    }

    fn kill(&mut self) -> io::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // There is nobody to be told.
        drop(self.kill());
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("member", &self.orders.member).finish_non_exhaustive()
    }
}
