//! `forewarm verify`, run as people run it. What is stale and what is not is tried beside the
//! checker.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

fn verify(folder: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarm"));
    command.arg("verify").args(options).env("TMPDIR", folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn assert_is_empty(folder: &Path) {
    let left: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// A short run in which things are made to fail.
fn run_on(l2: &str) {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--l2", l2, "--duration", "4s", "--window", "500ms", "--nodes", "2", "--json"];
    let Output { status, stdout, stderr } = verify(folder.path(), &options).output().unwrap();
    let (report, notes) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(0), "{l2}: {notes}\n{report}");
    assert_eq!(notes, "", "{l2}");
    let report: Value = serde_json::from_str(&report).unwrap();
    let (real, control) = (&report["real"], &report["control"]);
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{l2}: {report}"));
    for run in [real, control] {
        assert!(number(&run["checked"]) > 0, "{l2}: {report}");
        assert!(number(&run["applied"]) > 0, "{l2}: {report}");
    }
    let stale = |run: &Value| number(&run["stale_here"]) + number(&run["stale_elsewhere"]);
    assert!(stale(real) == 0 && stale(control) > 0, "{l2}: {report}");
    let faults: u64 = real["faults"].as_object().unwrap().values().map(number).sum();
    assert!(faults > 0 && control["faults"].as_object().unwrap().is_empty(), "{l2}: {report}");
    assert_is_empty(folder.path());
}

#[test]
fn nothing_is_stale_on_sqlite_and_without_permits_something_is() {
    run_on("sqlite");
}

#[test]
fn nothing_is_stale_on_redis_and_without_permits_something_is() {
    run_on("redis");
}

#[test]
fn nothing_is_stale_on_postgres_and_without_permits_something_is() {
    run_on("postgres");
}

#[test]
fn a_file_that_was_given_is_used_and_kept() {
    let (folder, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = home.path().join("given.sqlite");
    let url = file.to_str().unwrap();
    let options = ["--l2", "sqlite", "--url", url, "--gets", "500", "--window", "250ms"];
    let Output { status, stdout, stderr } = verify(folder.path(), &options).output().unwrap();
    let (table, notes) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(0), "{notes}\n{table}");
    for row in ["reads checked", "(G1)", "(G2)", "slowest read", "recovery"] {
        assert!(table.contains(row), "{row}: {table}");
    }
    assert!(fs::metadata(&file).unwrap().len() > 0);
    assert_is_empty(folder.path());
}

#[test]
fn rates_are_kept_and_it_is_said_what_the_nodes_take() {
    let folder = tempfile::tempdir().unwrap();
    let options = [
        "--l2=sqlite",
        "--duration=4s",
        "--window=250ms",
        "--nodes=2",
        "--reads-per-second=1500",
        "--changes-per-second=60",
        "--fault-every=1s",
        "--json",
    ];
    let Output { status, stdout, stderr } = verify(folder.path(), &options).output().unwrap();
    let (report, notes) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(0), "{notes}\n{report}");
    let report: Value = serde_json::from_str(&report).unwrap();
    let real = &report["real"];
    let seconds = real["seconds"].as_f64().unwrap();
    // Who is killed or stopped at the end cannot make up for it; and nobody overtakes the rate by
    // more than those who are late may.
    for (what, rate) in [("reads", 1_500.0), ("changes", 60.0)] {
        let rate_seen = real["reads"][what].as_f64().unwrap() / seconds;
        assert!((rate * 0.3..rate * 1.2).contains(&rate_seen), "{what}: {rate_seen}: {report}");
    }
    let faults: u64 = real["faults"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert!((1..=8).contains(&faults), "{report}");
    let usage = &real["usage"];
    let [nodes, too_young] = ["nodes", "too_young"].map(|of| usage[of].as_array().unwrap());
    assert_eq!(nodes.len() + too_young.len(), 2, "{report}");
    // The nodes of the control run are not killed.
    for node in nodes.iter().chain(report["control"]["usage"]["nodes"].as_array().unwrap()) {
        for figure in ["resident_mib", "handles", "tasks"] {
            let course = ["early", "late"].map(|when| node[figure][when].as_f64().unwrap());
            assert!(course.iter().all(|figure| *figure > 1.0), "{figure}: {report}");
        }
        assert!(node["growth"].is_number(), "{report}");
    }
    assert_eq!(report["control"]["usage"]["nodes"].as_array().unwrap().len(), 2, "{report}");
    assert_is_empty(folder.path());
}

#[test]
fn options_that_cannot_work_are_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &[&str]); 12] = [
        (&[], &["--l2", "sqlite", "redis", "postgres"]),
        (&["--l2=mysql"], &["mysql", "sqlite", "redis", "postgres"]),
        (&["--l2=sqlite", "--nodes=1"], &["--nodes", "2..=16"]),
        (&["--l2=sqlite", "--keys=7"], &["--keys", "8..=4096"]),
        (&["--l2=sqlite", "--duration=10ms"], &["--duration", "1s or more"]),
        (&["--l2=sqlite", "--window=1h"], &["--window", "250ms to 60s"]),
        (&["--l2=sqlite", "--nemesis=maybe"], &["--nemesis", "on", "off"]),
        (&["--l2=sqlite", "--reads-per-second=0"], &["--reads-per-second", "1..=1000000"]),
        (&["--l2=sqlite", "--changes-per-second=x"], &["--changes-per-second"]),
        (&["--l2=sqlite", "--fault-every=5ms"], &["--fault-every", "1s or more"]),
        (&["--l2=sqlite", "--gets=5", "--duration=2s"], &["--gets", "--duration"]),
        (&["--l2=redis", "--url=postgres://u:secret@h"], &["redis://", "rediss://"]),
    ];
    for (options, said) in cases {
        let output = verify(folder.path(), options).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        assert!(output.stdout.is_empty(), "{options:?}");
        let notes = String::from_utf8(output.stderr).unwrap();
        assert!(said.iter().all(|said| notes.contains(said)), "{options:?}: {notes}");
        assert!(!notes.contains("secret"), "{notes}");
    }
    assert_is_empty(folder.path());
}

/// A run that is killed if the test ends before it does.
struct Run(Child);

impl Drop for Run {
    fn drop(&mut self) {
        // Fails where it has ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Waits until `look` gives something.
fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "it did not come to pass");
        std::thread::yield_now();
    }
}

/// The processes that a process has started and that are nodes.
fn nodes_of(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children =
        tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("children")).ok());
    let children: Vec<String> = children.collect();
    let pids = children.iter().flat_map(|line| line.split_whitespace());
    pids.map(|pid| pid.parse().unwrap()).filter(|pid| is_node(*pid)).collect()
}

fn is_node(pid: u32) -> bool {
    let mut arguments = Vec::new();
    let Ok(mut file) = fs::File::open(format!("/proc/{pid}/cmdline")) else { return false };
    // It may end while it is looked at.
    file.read_to_end(&mut arguments).ok();
    String::from_utf8_lossy(&arguments).contains("verify-node")
}

#[test]
fn nodes_end_with_the_process_that_started_them() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--l2", "sqlite", "--duration", "1h", "--nemesis", "off"];
    let mut run = Run(verify(folder.path(), &options).spawn().unwrap());
    let pid = run.0.id();
    let nodes = wait_for(|| Some(nodes_of(pid)).filter(|nodes| nodes.len() == 3));
    run.0.kill().unwrap();
    run.0.wait().unwrap();
    wait_for(|| (!nodes.iter().any(|pid| is_node(*pid))).then_some(()));
}
