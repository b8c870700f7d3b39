//! A process with one engine, which is going to be killed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use forewarm::{Forewarm, JobPolicy, Trigger};
use serde::{Deserialize, Serialize};

use super::witness::{Witness, now};
use super::{Kind, with_tier};

/// What the process is told.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Orders {
    pub(super) kind: Kind,
    pub(super) url: String,
    pub(super) jobs: usize,
    /// How often jobs are due, in turn.
    pub(super) every_secs: Vec<u64>,
    pub(super) jitter_millis: u64,
    pub(super) lease_secs: u64,
}

impl Orders {
    pub(super) fn every(&self, nth: usize) -> Duration {
        Duration::from_secs(self.every_secs[nth % self.every_secs.len()])
    }

    pub(super) const fn instances_max(nth: usize) -> usize {
        1 + nth % 2
    }

    /// How long a run takes: most are short, some take as long as a lease or longer.
    fn takes(&self, nth: usize) -> Duration {
        let millis =
            if nth % 20 == 3 { self.lease_secs * 1_200 } else { 20 + nth as u64 * 37 % 400 };
        Duration::from_millis(millis)
    }

    fn policy(&self, nth: usize) -> JobPolicy {
        JobPolicy {
            triggers: vec![Trigger::every(self.every(nth)).unwrap()],
            jitter: Duration::from_millis(self.jitter_millis),
            // Each instant is to be done.
            coalesce: false,
            misfire_grace: Duration::from_mins(10),
            max_instances: Self::instances_max(nth),
            lease: Duration::from_secs(self.lease_secs),
            attempts: 20,
            ..JobPolicy::default()
        }
    }
}

/// Where the process finds what it is told, and where it notes what it does.
const ORDERS: &str = "FOREWARM_JOBS_ORDERS";
const NOTES: &str = "FOREWARM_JOBS_NOTES";

/// Not a test of its own: what a process of the fleet does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_the_fleet() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let witness = Witness::new(Path::new(&std::env::var(NOTES).unwrap()));
    let builder = with_tier(Forewarm::builder(), orders.kind, &orders.url).await;
    let forewarm = builder.build().await.unwrap();
    for nth in 0..orders.jobs {
        let (witness, takes) = (witness.clone(), orders.takes(nth));
        let job = forewarm.job(&format!("job{nth}")).policy(orders.policy(nth));
        let job = job.run_with(move |context| {
            let doing = witness.begin(context.job(), &context.scheduled().to_string());
            async move {
                tokio::time::sleep(takes).await;
                doing.done();
                Ok(())
            }
        });
        job.build().unwrap();
    }
    forewarm.start().await.unwrap();
    writeln!(std::io::stdout(), "it has started").unwrap();
    // Until its parent lets go of it, or is gone.
    let waited = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    waited.await.unwrap().unwrap();
    forewarm.shutdown(Duration::from_secs(20)).await;
}

/// A process, as its parent has it.
pub(super) struct Node {
    child: Child,
    notes: PathBuf,
}

impl Node {
    pub(super) fn start(orders: &Orders, notes: PathBuf) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "jobs::node::a_node_of_the_fleet", "--nocapture"]);
        command.env(ORDERS, serde_json::to_string(orders).unwrap()).env(NOTES, &notes);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("it has started")));
        // What else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, notes }
    }

    /// Kills it; gives where its notes are, and when it was gone.
    pub(super) fn kill(mut self) -> (PathBuf, u64) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.notes, now())
    }

    /// Lets it end in order.
    pub(super) fn stop(mut self) -> (PathBuf, u64) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
        (self.notes, now())
    }
}
