//! What is given to those who run the service: settings, rules, a dashboard.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use forewarm::{METRICS, Metric, MetricKind};
use serde_json::Value;

use crate::commands::{command, texts};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn read(name: &str) -> String {
    fs::read_to_string(deploy().join(name)).unwrap()
}

/// The metric that a name in a query means, which may be a part of a histogram.
fn metric(name: &str) -> Option<&'static Metric> {
    let of = |name: &str| METRICS.iter().find(|metric| metric.name == name);
    let part = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    let is_histogram = |metric: &&Metric| metric.kind == MetricKind::Histogram;
    of(name).or_else(|| part.and_then(of).filter(is_histogram))
}

/// Every metric of forewarm in a text, with what follows it in braces.
fn named(text: &str) -> Vec<(String, String)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
    let mut found = Vec::new();
    for (at, _) in text.match_indices("forewarm_") {
        // Not in the middle of the name of a recorded figure.
        if text[..at].ends_with(is_part) {
            continue;
        }
        let rest = &text[at..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let braces = rest.strip_prefix('{').and_then(|rest| rest.split('}').next());
        found.push((name.to_owned(), braces.unwrap_or_default().to_owned()));
    }
    found
}

/// The labels in what stands in braces.
fn labels(matchers: &str) -> Vec<String> {
    let parts = matchers.split(',').filter(|part| part.contains('='));
    parts.map(|part| part.split(['=', '!']).next().unwrap().trim().to_owned()).collect()
}

fn check_query(query: &str) {
    for (name, matchers) in named(query) {
        let metric = metric(&name).unwrap_or_else(|| panic!("there is no {name}: {query}"));
        for label in labels(&matchers) {
            let is_known = match label.as_str() {
                "job" | "instance" => true,
                "le" => metric.kind == MetricKind::Histogram,
                "exported_job" => metric.labels.contains(&"job"),
                label => metric.labels.contains(&label),
            };
            assert!(is_known, "{name} has no label {label}: {query}");
        }
    }
}

/// The expressions of the dashboard.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| queries(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let board: Value = serde_json::from_str(&read("grafana/forewarm.json")).unwrap();
    let mut found = Vec::new();
    queries(&board, &mut found);
    assert!(found.len() > 30, "{} queries", found.len());
    found.iter().for_each(|query| check_query(query));
    let all = found.join("\n");
    for name in [
        "forewarm_reads_total",
        "forewarm_loads_total",
        "forewarm_load_seconds_bucket",
        "forewarm_preloads_total",
        "forewarm_preload_brier_score",
        "forewarm_l2_up",
        "forewarm_breaker_state",
        "forewarm_job_runs_total",
    ] {
        assert!(all.contains(name), "nobody asks for {name}");
    }
}

#[test]
fn the_panels_of_the_dashboard_stand_beside_each_other() {
    let board: Value = serde_json::from_str(&read("grafana/forewarm.json")).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = |field: &str| panel["gridPos"][field].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{panel}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{} covers another one", panel["title"]);
            }
        }
    }
}

#[test]
fn the_rules_ask_for_what_there_is() {
    let rules = read("prometheus/rules.yml");
    // Recorded figures and the name of the job are ours too.
    let lines = rules.lines().filter(|line| !line.contains("record:") && !line.contains("name:"));
    lines.filter(|line| !line.trim_start().starts_with('#')).for_each(check_query);
    let recorded: BTreeSet<_> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).collect();
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && !"_:".contains(c));
    let prefixes = ["resource:forewarm", "op:forewarm"];
    for word in words.filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix))) {
        assert!(recorded.contains(word), "{word} is not recorded");
    }
}

#[test]
fn prometheus_takes_the_settings_and_the_rules_and_they_do_what_they_say() {
    let home = deploy().join("prometheus");
    for words in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "rules.yml"],
        ["test", "rules", "rules_test.yml"],
    ] {
        let output = Command::new("promtool").args(words).current_dir(&home).output();
        let output = output.unwrap_or_else(|error| {
            panic!("promtool does not run ({error}): it is in Debian's package `prometheus`")
        });
        let (out, notes) = texts(&output);
        assert!(output.status.success(), "{words:?}: {out}{notes}");
    }
}

#[test]
fn the_settings_that_are_given_work() {
    for name in ["forewarm.toml", "compose/forewarm.toml"] {
        let mut check = command(&deploy());
        let output = check.args(["check", "--offline", "--config", name]).output().unwrap();
        let (out, notes) = texts(&output);
        assert!(output.status.success(), "{name}: {out}{notes}");
    }
}

#[test]
fn the_example_has_every_section() {
    let example: toml::Table = toml::from_str(&read("forewarm.toml")).unwrap();
    let sections: BTreeSet<_> = example.keys().map(String::as_str).collect();
    let expected =
        ["auth", "engine", "jobs", "l2", "log", "resources", "server", "snapshots", "sources"];
    assert_eq!(sections, BTreeSet::from(expected));
    let jobs = example["jobs"].as_table().unwrap();
    let forms: BTreeSet<_> = jobs.values().flat_map(|job| job.as_table().unwrap().keys()).collect();
    for form in ["renew", "renew_hot", "warm", "retention", "check_health"] {
        assert!(forms.contains(&form.to_owned()), "no job has {form}");
    }
}

#[test]
fn containers_are_given_files_that_there_are() {
    let compose = read("docker-compose.yml");
    let mut mounted = 0;
    for line in compose.lines() {
        let Some(mount) = line.trim().strip_prefix("- ./") else { continue };
        let file = mount.split(':').next().unwrap();
        // That one is the user's.
        if file != "compose/data" {
            assert!(deploy().join(file).is_file(), "{line}");
            mounted += 1;
        }
    }
    assert!(mounted >= 5, "{compose}");
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.contains("USER nonroot") && dockerfile.contains("HEALTHCHECK"));
    let unit = read("forewarm.service");
    for setting in
        ["Type=exec", "ExecReload=/bin/kill -HUP $MAINPID", "LoadCredential=", "DynamicUser=yes"]
    {
        assert!(unit.contains(setting), "{setting}");
    }
}

#[test]
fn what_is_to_be_done_at_each_alert_is_told() {
    let guide = crate::readme::document("docs/operations.md");
    let rules = read("prometheus/rules.yml");
    let named = |text: &str, before: &str| -> BTreeSet<String> {
        let parts = text.split(before).skip(1);
        parts
            .filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().map(str::to_owned))
            .collect()
    };
    let alerts = named(&rules, "- alert: ");
    let table = guide.split("## Alerts").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: String = table
        .lines()
        .filter_map(|row| row.strip_prefix("| `")?.split(" | ").next())
        .map(|cell| format!("`{cell}"))
        .collect();
    let told: BTreeSet<_> =
        named(&rows, "`").into_iter().filter(|name| name.starts_with("Forewarm")).collect();
    assert_eq!(told, alerts);
}

/// A panel that leaves the choice of nodes out would show the sum of all.
#[test]
fn each_panel_heeds_the_nodes_that_are_chosen() {
    let dashboard: Value = serde_json::from_str(&read("grafana/forewarm.json")).unwrap();
    let mut found = Vec::new();
    queries(&dashboard, &mut found);
    let panels: Vec<_> = found.iter().filter(|query| query.contains("$job")).collect();
    assert!(panels.len() > 30);
    for query in panels {
        let heeded = query.matches("instance=~\"$instance\"").count();
        let asked = query.matches("job=~\"$job\"").count();
        assert!(heeded == asked || query.starts_with("label_values"), "{query}");
    }
}

/// The credentials that the unit loads are those that the example looks for.
#[test]
fn the_unit_loads_what_the_example_reads() {
    let (unit, example) = (read("forewarm.service"), read("forewarm.toml"));
    let loaded: BTreeSet<_> = unit
        .lines()
        .filter_map(|line| line.strip_prefix("LoadCredential=")?.split(':').next())
        .collect();
    let wanted: BTreeSet<_> = example
        .split("/run/credentials/forewarm.service/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(loaded, wanted);
}

/// The seconds of a line of a file that begins so.
fn seconds(file: &str, start: &str) -> u64 {
    let text = read(file);
    let found = text.lines().find_map(|line| line.trim().strip_prefix(start));
    let span = found.unwrap_or_else(|| panic!("{file} has no {start}")).trim().trim_matches('"');
    span.strip_suffix('s').unwrap().parse().unwrap()
}

#[test]
fn who_stops_the_process_waits_for_its_end() {
    // What is beyond the time that it gives itself is for those who keep no deadline, and for a busy machine.
    let drain = seconds("forewarm.toml", "drain_timeout = ");
    for (file, start) in
        [("forewarm.service", "TimeoutStopSec="), ("docker-compose.yml", "stop_grace_period:")]
    {
        let stop = seconds(file, start);
        assert!(stop >= drain + 10, "{file} waits {stop} s for an end of {drain} s");
    }
}
