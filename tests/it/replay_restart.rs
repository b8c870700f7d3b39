//! `forewarm replay --restart`: how soon the engine is back, with and without a memory.

use std::process::{Command, Output};

use serde_json::Value;

use crate::replay::recorded;

fn forewarm(share: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarm"));
    command.args(["replay", "--restart", share, "--ttl", "none", "--policy", "forewarm"]);
    command.args(arguments).output().unwrap()
}

fn restart(share: &str, arguments: &[&str]) -> Value {
    let output = forewarm(share, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let restarts: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(restarts.len(), 1);
    restarts.into_iter().next().unwrap()
}

/// C30: with a memory it is back within a tenth of the requests that it takes without.
fn is_back_in_a_tenth(restart: &Value) {
    for back in ["back_after", "back_to_former_after"] {
        let [warm, cold] = ["warm", "cold"].map(|engine| restart[engine][back].as_u64());
        assert!(warm.unwrap() * 10 <= cold.unwrap(), "{back}: {restart:#}");
    }
    let first = |engine: &str| restart[engine]["first_hit_ratio"].as_f64().unwrap();
    assert!(first("warm") >= 0.95 * first("kept_on"), "{restart:#}");
    assert!(first("cold") < 0.95 * first("kept_on"), "{restart:#}");
}

#[test]
fn a_restart_in_requests_that_are_made_up() {
    let arguments = ["--synthetic", "zipf", "--limit", "20000", "--capacity", "10%"];
    let restart = restart("0.5", &arguments);
    is_back_in_a_tenth(&restart);
    assert_eq!(
        (&restart["before"], &restart["cold"]["requests"]),
        (&10_000.into(), &10_000.into())
    );
    assert!(restart["keys"].as_u64().unwrap() > 100 && restart["bytes"].as_u64().unwrap() > 1_000);
}

#[test]
fn a_restart_in_recorded_requests_of_a_web_site() {
    let Some(nasa) = recorded("nasa_19950801.csv.xz") else { return };
    is_back_in_a_tenth(&restart("0.5", &[&nasa, "--capacity", "10%"]));
}

#[test]
fn a_restart_in_recorded_requests_of_an_orm() {
    let Some(orm) = recorded("seq_cache2k_orm_busy_1M.csv.xz") else { return };
    is_back_in_a_tenth(&restart("0.8", &[&orm, "--limit", "120000", "--capacity", "10%"]));
}

#[test]
fn it_is_told_as_a_table_and_what_cannot_be_restarted_is_said() {
    let output = forewarm("0.5", &["--synthetic", "loop", "--limit", "2000"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for words in ["kept on", "restarted, cold", "restarted, memory", "keys were remembered"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    for (share, policy, said) in [("0.5", "lru", "lru"), ("1", "forewarm", "--restart")] {
        let output = forewarm(share, &["--synthetic", "loop", "--policy", policy]);
        assert!(!output.status.success());
        assert!(String::from_utf8(output.stderr).unwrap().contains(said));
    }
}
