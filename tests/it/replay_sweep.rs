//! `forewarm replay --sweep`: the value of a setting that fits the requests.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const SHARES: [f64; 5] = [0.5, 0.75, 0.9, 0.95, 1.0];

/// Reads of a few keys between scans of many, in which shares differ.
fn log() -> String {
    let mut random = fastrand::Rng::with_seed(7);
    let mut text = "timestamp_s,key\n".to_owned();
    for second in 0..12_000 {
        let popular = random.u32(1..=400) * random.u32(1..=400) / 400;
        let key = if second % 3 == 0 { 1_000 + second / 3 % 1_500 } else { popular };
        writeln!(text, "{second},k{key}").unwrap();
    }
    text
}

fn sweep(home: &Path, options: &[&str]) -> Output {
    std::fs::write(home.join("reads.csv"), log()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarm"));
    command.args(["replay", "reads.csv", "--sweep", "hot-share", "--ttl", "none"]);
    command.args(options).current_dir(home).output().unwrap()
}

/// What a sweep prints that must go well.
fn printed(options: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let output = sweep(home.path(), options);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn number(of: &Value, field: &str) -> f64 {
    of[field].as_f64().unwrap_or_else(|| panic!("{field}: {of}"))
}

fn is_same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

/// The rule, in other words than those of the program.
fn expected(rows: &[&Value]) -> f64 {
    let misses = |share: f64| {
        let row = rows.iter().find(|row| is_same(number(row, "hot_share"), share));
        number(row.unwrap(), "misses")
    };
    let least = SHARES.map(misses).into_iter().fold(f64::INFINITY, f64::min);
    let chance = (2.0 / misses(0.9).sqrt()).max(0.002);
    if misses(0.9) * (1.0 - chance) <= least {
        return 0.9;
    }
    let by_risk = [0.9, 0.95, 1.0, 0.75, 0.5];
    by_risk.into_iter().find(|share| misses(*share) <= least).unwrap()
}

#[test]
fn a_sweep_recommends_what_its_rows_say() {
    for (capacity, policies, decides) in [
        ("20", &["demand", "forewarm"][..], "forewarm"),
        ("20", &["demand"], "demand"),
        ("800", &["observe", "demand", "classic"], "observe"),
        ("40%", &["forewarm"], "forewarm"),
    ] {
        let chosen = policies.iter().flat_map(|policy| ["--policy", policy]);
        let options: Vec<_> =
            ["--json", "--capacity", capacity].into_iter().chain(chosen).collect();
        let sweeps: Vec<Value> = serde_json::from_str(&printed(&options)).unwrap();
        let [sweep] = &sweeps[..] else { panic!("{sweeps:?}") };
        let rows = sweep["rows"].as_array().unwrap();
        let seen: Vec<_> = rows
            .iter()
            .map(|row| (row["policy"].as_str().unwrap(), number(row, "hot_share")))
            .collect();
        let all = policies.iter().flat_map(|policy| SHARES.map(|share| (*policy, share)));
        assert_eq!(seen, all.collect::<Vec<_>>());
        let deciding: Vec<_> = rows.iter().filter(|row| row["policy"] == decides).collect();
        let (found, share) = (number(sweep, "recommended"), expected(&deciding));
        assert!(is_same(found, share), "{found} for {share}: {rows:?}");
        for (field, value) in [("trace", "reads"), ("setting", "hot-share"), ("policy", decides)] {
            assert_eq!(sweep[field], value);
        }
        assert_eq!((number(sweep, "default"), rows[0]["loads_vs_demand"].is_number()), (0.9, true));
        // If the shares made no difference, this would test nothing.
        let misses: BTreeSet<_> = deciding.iter().map(|row| row["misses"].as_u64()).collect();
        assert!(misses.len() > 1, "{rows:?}");
    }
}

#[test]
fn a_table_has_a_row_for_each_share_and_policy_and_a_sentence_for_each_trace() {
    let text = printed(&["--capacity", "200", "--synthetic", "loop", "--limit", "2000"]);
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with('│')).skip(1).collect();
    assert_eq!(rows.len(), 2 * 2 * SHARES.len(), "{text}");
    let defaults: Vec<_> = rows.iter().filter(|row| row.contains(" 0.9 ")).collect();
    assert!(defaults.len() == 4 && defaults.iter().all(|row| row.contains("+0.0 %")), "{text}");
    let said: Vec<_> = text.lines().filter(|line| line.contains("hot_share = ")).collect();
    assert_eq!(said.len(), 2, "{text}");
    assert!(said[0].starts_with("reads: ") && said[1].starts_with("loop: "), "{said:?}");
}

#[test]
fn what_there_is_no_share_for_is_refused_before_anything_is_read() {
    let cases: [(&[&str], &str); 7] = [
        (&["--capacity", "10%", "--policy", "forewarm", "--policy", "lru"], "`--policy lru`"),
        (&["--capacity", "10%", "--policy", "moka"], "`--policy moka`"),
        (&["--capacity", "10%", "--policy", "oracle"], "`--policy oracle`"),
        (&[], "needs --capacity"),
        (&["--capacity", "none"], "needs --capacity"),
        (&["--capacity", "9", "--threshold", "0.5", "--threshold", "0.8"], "one --threshold"),
        (&["--capacity", "9", "--report", "page.html"], "--report"),
    ];
    for (options, expected) in cases {
        let home = tempfile::tempdir().unwrap();
        let output = sweep(home.path(), options);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(expected), "{options:?}: {said}");
        assert!(output.stdout.is_empty() && !said.contains("requests,"), "{options:?}: {said}");
    }
}
