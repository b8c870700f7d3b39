//! The examples, run as people run them.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// Where cargo puts the examples: beside the command. It builds them for a run of all tests; for one
/// of these tests alone, `cargo build --examples` does.
fn built(example: &str) -> PathBuf {
    let command = PathBuf::from(env!("CARGO_BIN_EXE_forewarm"));
    let path = command.with_file_name("examples").join(example);
    assert!(path.exists(), "not built: `cargo build --all-features --example {example}`");
    path
}

/// What an example prints.
fn output(example: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(built(example)).env("TMPDIR", folder.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.is_empty(), "{said}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "it leaves nothing");
    String::from_utf8(output.stdout).unwrap()
}

/// C38: one query for all reads; a committed change is seen by the next read, one that was rolled
/// back changes nothing; after a change of address the old one misses and the new one hits.
#[test]
fn the_repository_of_users_asks_once_for_all_its_reads() {
    let expected = "\
        1000 reads of ada@example.com by id: 1 query\n\
        1000 reads of the same by e-mail: 0 queries\n\
        1000 reads of nobody by id: 1 query\n\
        1000 reads of nobody by e-mail: 1 query\n\
        committed true: $1.50 -> $2.75, 1 query\n\
        committed false: still $2.75, 0 queries\n\
        ada@example.com: user 1, lovelace@example.com: nobody\n\
        moved: ada@example.com: nobody, lovelace@example.com: user 1\n\
        admin: true, false\n";
    assert_eq!(output("user_repository"), expected);
}

/// C09, S3-02: what was learned of others is in memory for who was never seen, and without
/// predictions it is not.
#[test]
fn the_chat_finds_in_memory_what_a_new_user_reads_next() {
    let output = output("chat_preloader");
    let row = |name: &str| -> [usize; 3] {
        let line = output.lines().find(|line| line.starts_with(name)).unwrap();
        let numbers = line.split_whitespace().skip(1).map(|number| number.parse().unwrap());
        numbers.collect::<Vec<_>>().try_into().unwrap()
    };
    for name in ["permissions", "relationship", "messages"] {
        let [off, learned, declared] = row(name);
        // Of twenty; one may come late where the machine is busy.
        assert!(off == 0 && learned >= 18 && declared >= 18, "{name}\n{output}");
    }
    let [off, learned, declared] = row("stream");
    assert!(off == 0 && learned == 0 && declared >= 18, "{output}");
    assert_eq!(row("person"), [0, 0, 0]);
    for line in [
        "after stream, messages (100 %)",
        "one call preloads 5 things",
        "one call reads them: 0 misses",
        "person 7, 50 newest messages, first: hello 60",
    ] {
        assert!(output.contains(line), "{line}\n{output}");
    }
}

/// C24, system 0: a dataset that is renewed as a whole, whatever its source does.
#[test]
fn the_help_centre_keeps_what_it_has_and_starts_without_its_source() {
    let output = output("faq_snapshot");
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines[0], "start: sections [1, 2, 3, 4], 1 request");
    let shown: Value = serde_json::from_str(lines[1].strip_prefix("snapshot: ").unwrap()).unwrap();
    assert_eq!(shown["sec_ids"].as_array().unwrap().len(), 4);
    assert_eq!(shown["faq_sections"][0]["name"], "Billing");
    for time in ["last_updated_at", "next_refresh_at"] {
        let _instant: jiff::Timestamp = shown[time].as_str().unwrap().parse().unwrap();
    }
    assert!(shown["last_error"].is_null());
    assert_eq!(lines[2], "20 ask for a refresh: 20 get it, 1 request");
    assert!(lines[3].starts_with("the source fails: ") && lines[3].contains("503"), "{output}");
    assert_eq!(lines[4], "readers have [1, 2, 3, 4], failures 1");
    assert!(lines[5].ends_with("it has 1 parts, and the one that is held has 4"), "{output}");
    assert_eq!(lines[6], "readers have [1, 2, 3, 4], failures 2");
    assert_eq!(lines[7], "taken all the same: [1]");
    assert_eq!(lines[8], "restart: sections [1], 0 requests");
}

/// C25 to C29, system 1: jobs with rates of their own, a failing key that stops no other, a warm-up
/// that skips what is fresh, a clean-up that counts.
#[test]
fn the_market_is_renewed_by_jobs() {
    let output = output("market_refresh");
    for line in [
        "update_stocks    cron */5 * * * * in Asia/Shanghai",
        "cache_warmup     daily at 23:00 in Asia/Shanghai",
        "cleanup_logs     cron 0 3 * * 0 in Asia/Shanghai",
        "health_check     every 10s",
        "daily_report     cron 0 2 * * * in Asia/Shanghai",
        "weekly_report    cron 0 9 * * 1 in Asia/Shanghai",
        "monthly_billing  cron 0 3 1 * * in Asia/Shanghai",
        "delayed_task     once, 5m",
        "update_weather   cron 0 * * * * in Asia/Shanghai",
        "update_news      cron */10 * * * * in Asia/Shanghai",
        "update_stocks: Succeeded after 1 attempts",
        "1000 reads of 5 stocks: 0 requests but those of the job",
        "one fails: Failed after 3 attempts",
        "the others were renewed: true; it is served: true",
        "it is back: Succeeded",
        "cache_warmup: Succeeded after 1 attempts, 5 requests",
        "again: Succeeded after 1 attempts, 0 requests",
        "(210 rows are older than 90 days, and were removed)",
        "rows left of 300: 90",
        "health_check: Succeeded after 1 attempts",
    ] {
        assert!(output.contains(line), "{line}\n{output}");
    }
    let (_, log) = output.split_once("newest first:\n").unwrap();
    let outcomes: Vec<_> = log.lines().map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(outcomes, [Some("Succeeded"), Some("Failed"), Some("Succeeded")]);
}

/// C20, C21, system 4: six kinds of things with lives of their own, one invalidation for all of a
/// project, a day that ends at midnight.
#[test]
fn the_board_changes_as_its_projects_and_its_days_do() {
    let expected = "\
        ttl 7200s, renewed every Some(3600s)\n\
        ttl 600s, renewed every Some(300s)\n\
        first page: Source Source Source Source Source Source\n\
        next page:  L1 L1 L1 L1 L1 L1\n\
        kept: 100 ranks of 150, 20 topics of 30\n\
        after a check-in: L1 Source Source Source Source Source\n\
        another project:  L1 Source Source Source Source Source\n\
        after midnight: the day's figures from Source, the others from L1\n\
        check-ins of the day: Some(151), then Some(0)\n\
        an API call is answered by Source\n\
        without a cache: Source Source Source Source Source Source\n";
    assert_eq!(output("checkin_board"), expected);
}

/// The service that people copy from, asked over HTTP.
#[test]
fn the_service_answers_from_the_cache_and_shows_changes_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Command::new(built("axum_service"));
    let service = service.env("ADDRESS", "127.0.0.1:0").env("DATABASE", folder.path().join("a.db"));
    let child = service.stdout(Stdio::piped()).spawn().unwrap();
    let mut service = Service(child);
    let mut line = String::new();
    BufReader::new(service.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = crate::served::client();
        let get = async |path: &str| {
            let response = client.get(format!("{url}{path}")).header("x-client", "7").send().await;
            let response = response.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        };
        for _ in 0..3 {
            assert_eq!(get("/users/1").await, (200, r#"{"id":1,"name":"Ada"}"#.to_owned()));
        }
        assert_eq!(get("/users/1/permissions").await.1, r#"["read","write"]"#);
        assert_eq!(get("/users/9").await.0, 404);
        let renamed = client.put(format!("{url}/users/1")).json("Augusta").send().await.unwrap();
        assert_eq!(renamed.status().as_u16(), 204);
        assert_eq!(get("/users/1").await.1, r#"{"id":1,"name":"Augusta"}"#);
        let (_, metrics) = get("/metrics").await;
        let reads = r#"forewarm_reads_total{resource="user",tier="l1",outcome="hit"} 2"#;
        assert!(metrics.contains(reads), "{metrics}");
        let (status, health) = get("/health").await;
        let health: Value = serde_json::from_str(&health).unwrap();
        assert_eq!((status, &health["state"]), (200, &Value::from("up")));
    });
}

/// A service that ends with its test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}
