//! `forewarm demo`, run as people run it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use serde_json::Value;

const FIGURES: [&str; 7] = [
    "hit_ratio",
    "precision",
    "preloads",
    "source_loads",
    "wait_p50_ms",
    "wait_p999_ms",
    "wait_p99_ms",
];

fn demo(folder: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarm"));
    command.arg("demo").args(options).env("TMPDIR", folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A demo that runs. It is killed if the test ends before it does.
struct Demo {
    child: Child,
    stderr: BufReader<ChildStderr>,
}

impl Demo {
    fn start(folder: &Path, options: &[&str]) -> Self {
        let mut child = demo(folder, options).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr }
    }

    /// The address of the metrics, as the demo prints it.
    fn metrics_address(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "no address was printed");
            if let Some((_, rest)) = line.split_once("http://") {
                return rest.split('/').next().unwrap().to_owned();
            }
        }
    }

    /// What it prints to the end.
    fn output(mut self) -> String {
        let mut output = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        let mut notes = String::new();
        self.stderr.read_to_string(&mut notes).unwrap();
        assert!(self.child.wait().unwrap().success(), "{notes}");
        assert!(!notes.contains('\u{1b}'), "control codes without a terminal: {notes:?}");
        output
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Fails where it has ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The samples of one scrape: names with labels, and values.
fn scrape(address: &str) -> Vec<(String, f64)> {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    let samples = body.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parsed = samples.map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        (name.to_owned(), value.parse().unwrap_or_else(|error| panic!("{error}: {line}")))
    });
    parsed.collect()
}

/// Scrapes until a product has been read.
fn scrape_reads(address: &str) -> Vec<(String, f64)> {
    let reads = "forewarm_reads_total{resource=\"product\"";
    loop {
        let samples = scrape(address);
        if samples.iter().any(|(name, value)| name.starts_with(reads) && *value > 0.0) {
            return samples;
        }
    }
}

fn assert_is_empty(folder: &Path) {
    let left: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

fn check_half(name: &str, half: &Value) {
    let fields: Vec<_> = half.as_object().unwrap().keys().map(String::as_str).collect();
    let mut sorted = fields.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, FIGURES, "{name}");
    let number = |field: &str| half[field].as_f64().unwrap_or_else(|| panic!("{name}.{field}"));
    assert!((0.0..=1.0).contains(&number("hit_ratio")), "{name}: {half}");
    assert!(number("source_loads") > 0.0, "{name}: {half}");
    let waits = ["wait_p50_ms", "wait_p99_ms", "wait_p999_ms"].map(number);
    assert!(waits[0] >= 0.0 && waits.is_sorted(), "{name}: {half}");
    let preloads = half["preloads"].as_u64().unwrap();
    match half["precision"].as_f64() {
        Some(precision) => assert!(preloads > 0 && (0.0..=1.0).contains(&precision), "{half}"),
        None => assert!(preloads == 0 && half["precision"].is_null(), "{half}"),
    }
}

#[test]
fn a_run_prints_one_object_can_be_scraped_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--duration", "2s", "--keys", "200", "--json", "--port", "0"];
    let mut demo = Demo::start(folder.path(), &options);
    let samples = scrape_reads(&demo.metrics_address());
    let has = |wanted: &str| samples.iter().any(|(name, _)| name.starts_with(wanted));
    for wanted in ["forewarm_load_seconds_bucket{", "forewarm_l1_entries{", "forewarm_build_info{"]
    {
        assert!(has(wanted), "{wanted}: {samples:?}");
    }
    let report: Value = serde_json::from_str(&demo.output()).unwrap();
    let halves: Vec<_> = report.as_object().unwrap().keys().collect();
    assert_eq!(halves.len(), 2, "{halves:?}");
    check_half("without", &report["without"]);
    check_half("with", &report["with"]);
    assert_eq!(report["without"]["preloads"], 0);
    assert_is_empty(folder.path());
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_it_with_what_was_measured_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--duration", "1h", "--keys", "200", "--json", "--port", "0"];
    let mut demo = Demo::start(folder.path(), &options);
    scrape_reads(&demo.metrics_address());
    let sent = Command::new("kill").args(["-INT", &demo.child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let report: Value = serde_json::from_str(&demo.output()).unwrap();
    check_half("without", &report["without"]);
    assert!(report["with"].is_null(), "{report}");
    assert_is_empty(folder.path());
}

#[cfg(unix)]
#[test]
fn where_the_dashboard_stays_the_figures_are_printed_once() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--duration", "2s", "--keys", "200", "--json", "--port", "0", "--stay"];
    let mut demo = Demo::start(folder.path(), &options);
    let address = demo.metrics_address();
    let mut line = String::new();
    while !line.contains("stays until Ctrl-C") {
        line.clear();
        assert_ne!(demo.stderr.read_line(&mut line).unwrap(), 0, "it does not stay");
    }
    assert!(!scrape(&address).is_empty());
    let sent = Command::new("kill").args(["-INT", &demo.child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    // Two objects would be none.
    let report: Value = serde_json::from_str(&demo.output()).unwrap();
    check_half("with", &report["with"]);
    assert_is_empty(folder.path());
}

#[test]
fn a_port_that_is_taken_is_said_and_does_not_stop_it() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let options = ["--duration", "2s", "--keys", "200", "--port", &port];
    let Output { status, stdout, stderr } = demo(folder.path(), &options).output().unwrap();
    let (table, notes) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{notes}");
    assert!(notes.contains(&format!("no dashboard at port {port}")), "{notes}");
    for row in ["hit ratio", "wait, p99.9", "source loads", "precision"] {
        assert!(table.contains(row), "{row}: {table}");
    }
    assert_is_empty(folder.path());
}

#[test]
fn options_that_cannot_work_are_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    for (option, value) in [
        ("--keys", "0"),
        ("--rate", "0"),
        ("--rate", "-1"),
        ("--duration", "1s"),
        ("--duration", "2h"),
        ("--duration", "soon"),
        ("--port", "65536"),
        ("--seed", "x"),
    ] {
        let argument = format!("{option}={value}");
        let output = demo(folder.path(), &[&argument]).output().unwrap();
        assert!(!output.status.success(), "{argument}");
        assert!(output.stdout.is_empty(), "{argument}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(option) && said.contains(value), "{argument}: {said}");
    }
    assert_is_empty(folder.path());
}
