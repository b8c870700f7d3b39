//! What operators ask and do.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::served::{COMMON, SHOP, Served, make_shop};
use crate::waiting::{until, until_some};

fn settings() -> String {
    format!("{COMMON}{SHOP}")
}

fn fields(value: &Value) -> Vec<&str> {
    let mut fields: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    fields
}

#[tokio::test]
async fn jobs_are_listed_triggered_and_logged_as_an_older_system_did() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &settings(), &[]);
    let (_, jobs) = served.get("/admin/scheduled-jobs").await;
    for job in jobs.as_array().unwrap() {
        assert_eq!(fields(job), ["id", "name", "next_run_time", "trigger"]);
        let next = job["next_run_time"].as_str().unwrap();
        assert!(next.parse::<jiff::Timestamp>().is_ok(), "{next}");
    }
    let (status, done) = served.post("/admin/jobs/popular/trigger", &json!({})).await;
    assert_eq!((status, &done["message"]), (202, &json!("Job popular triggered")));
    let run_id = done["run_id"].as_str().unwrap().to_owned();
    // The run is in the log, under its id, and it has loaded what it should.
    let run = until_some("the run has ended", async || {
        let (_, runs) = served.get("/admin/jobs/popular/runs").await;
        let run = runs.as_array().unwrap().iter().find(|run| run["run_id"] == run_id).cloned();
        run.filter(|run| !run["outcome"].is_null())
    })
    .await;
    assert_eq!((&run["outcome"], &run["reason"]), (&json!("succeeded"), &json!("manual")), "{run}");
    let (_, logs) = served.get("/admin/jobs/popular/logs?limit=1").await;
    assert_eq!(fields(&logs[0]), ["end", "error", "start", "time"]);
    assert_eq!(logs.as_array().unwrap().len(), 1);
    assert!(logs[0]["error"].is_null() && logs[0]["end"].is_string(), "{logs}");
    let held = served.request("GET", "/v1/user/2").send().await.unwrap();
    assert!(held.headers()["cache-status"].to_str().unwrap().contains("; detail=l1"));

    for path in ["trigger", "pause", "resume"] {
        let (status, problem) = served.post(&format!("/admin/jobs/nope/{path}"), &json!({})).await;
        assert_eq!((status, &problem["error"]), (404, &json!("Job not found")), "{path}");
    }
    for path in ["logs", "runs"] {
        let (status, problem) = served.get(&format!("/admin/jobs/nope/{path}")).await;
        assert_eq!((status, &problem["error"]), (404, &json!("Job not found")), "{path}");
        assert_eq!(served.get(&format!("/admin/jobs/popular/{path}?limit=0")).await.0, 400);
    }
    assert_eq!(served.post("/admin/jobs/popular/pause", &json!({})).await.1["is_paused"], true);
    let (_, jobs) = served.get("/admin/scheduled-jobs").await;
    let popular = jobs.as_array().unwrap().iter().find(|job| job["id"] == "popular").unwrap();
    assert!(popular["next_run_time"].is_null(), "{popular}");
    assert_eq!(served.post("/admin/jobs/popular/resume", &json!({})).await.1["is_paused"], false);
}

#[tokio::test]
async fn a_snapshot_has_its_collections_and_two_times() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &settings(), &[]);
    until("the snapshot is loaded", async || served.get("/v1/faq").await.0 == 200).await;
    let (_, faq) = served.get("/admin/snapshots/faq").await;
    let names = ["faq_sections", "last_updated_at", "next_refresh_at", "sec_ids"];
    assert_eq!(fields(&faq), names);
    assert_eq!(faq["sec_ids"], json!([1, 2]));
    assert_eq!(faq["faq_sections"][1], json!({ "id": 2, "title": "Login" }));
    for time in ["last_updated_at", "next_refresh_at"] {
        assert!(faq[time].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{faq}");
    }
    sqlx::query("insert into section values (3, 'Refunds')").execute(&mut shop).await.unwrap();
    let (status, faq) = served.post("/admin/snapshots/faq/refresh", &json!({})).await;
    assert_eq!((status, &faq["sec_ids"]), (200, &json!([1, 2, 3])));
    // A dataset that has lost most of its rows is refused, and the old one stays.
    sqlx::query("delete from section").execute(&mut shop).await.unwrap();
    let (status, problem) = served.post("/admin/snapshots/faq/refresh", &json!({})).await;
    assert_eq!(status, 502, "{problem}");
    assert_eq!(served.get("/v1/faq").await.1["sec_ids"], json!([1, 2, 3]));
    assert_eq!(served.get("/admin/snapshots/nope").await.1["error"], "Snapshot not found");
}

#[tokio::test]
async fn figures_keys_and_reasons_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &settings(), &[]);
    for _ in 0..5 {
        served.get("/v1/user/7").await;
        served.get("/v1/right/7").await;
    }
    served.get("/v1/user/8").await;
    let (_, stats) = served.get("/admin/stats").await;
    for field in [
        "total_accesses",
        "tracked_patterns",
        "associations",
        "preload_count",
        "preload_hits",
        "preload_hit_rate",
        "active_tasks",
    ] {
        assert!(stats[field].is_number(), "{field}: {stats}");
    }
    let of = |name: &str| {
        let resources = stats["resources"].as_array().unwrap();
        let found = resources.iter().find(|stats| stats["resource"] == name).unwrap();
        found["total_accesses"].as_u64().unwrap()
    };
    assert_eq!((of("user"), of("right")), (6, 5));
    let (_, hot) = served.get("/admin/hot-keys?resource=user&limit=1").await;
    assert_eq!((&hot[0]["key"], &hot[0]["resource"]), (&json!("7"), &json!("user")), "{hot}");
    assert_eq!(served.get("/admin/hot-keys?limit=1001").await.0, 400);
    let (_, explained) = served.get("/admin/resources/user/explain?key=7").await;
    assert_eq!(explained["key"], "7");
    assert!(explained["summary"].is_string() && explained["score"].as_f64().unwrap() > 4.0);
    assert!(served.get("/admin/resources/user/related?key=7").await.1.is_array());
    assert!(served.get("/admin/associations").await.1.is_array());
    assert!(served.get("/admin/rules").await.1.is_array());
    let (_, card) = served.get("/admin/resources/user/score-card").await;
    assert!(
        card["precision"].is_number() && card["predictions"]["reliability"].is_array(),
        "{card}"
    );
    let (_, health) = served.get("/admin/health").await;
    assert_eq!((&health["state"], &health["ready"]), (&json!("up"), &json!(true)), "{health}");
    assert_eq!(
        served.get("/admin/resources/nope/explain?key=7").await.1["error"],
        "Resource not found"
    );
    let metrics = served.request("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("forewarm_reads_total{resource=\"user\""), "{metrics}");
}

#[tokio::test]
async fn requests_are_counted_by_what_they_are_for_and_how_they_end() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &settings(), &[]);
    for path in ["/v1/user/7", "/v1/user/7", "/v1/user/100000", "/v1/nope/1", "/nowhere"] {
        served.get(path).await;
    }
    served.post("/v1/user", &json!({ "ids": ["7"] })).await;
    let scraped = served.request("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    for line in [
        "forewarm_http_requests_total{route=\"read\",status=\"200\"} 2",
        "forewarm_http_requests_total{route=\"read\",status=\"404\"} 2",
        "forewarm_http_requests_total{route=\"batch\",status=\"200\"} 1",
        "forewarm_http_requests_total{route=\"page\",status=\"404\"} 1",
        "forewarm_http_requests_total{route=\"admin\",status=\"401\"} 0",
        // The second read of user 7 waited for nothing.
        "forewarm_http_seconds_count{route=\"read\"} 3",
        // That of the scrape itself.
        "forewarm_http_requests_waiting 1",
    ] {
        assert!(scraped.lines().any(|scraped| scraped == line), "{line}: {scraped}");
    }
    let connections = scraped.lines().find(|line| line.starts_with("forewarm_http_connections "));
    assert!(connections.is_some_and(|line| !line.ends_with(" 0")), "{connections:?}");
}

#[tokio::test]
async fn thresholds_and_budgets_change_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &settings(), &[]);
    let path = "/admin/resources/user/preload";
    let tuning = json!({ "threshold": 0.2, "loads_per_second": 7.5, "mode": "observe" });
    let (status, policy) = served.post(path, &tuning).await;
    assert_eq!((status, &policy["threshold"]), (200, &json!(0.2)), "{policy}");
    assert_eq!((&policy["loads_per_second"], &policy["mode"]), (&json!(7.5), &json!("observe")));
    assert_eq!(policy["burst"], 200);
    assert_eq!(served.get("/admin/resources").await.1["user"]["preload"], policy);
    for wrong in [
        json!({ "threshold": 0 }),
        json!({ "threshold": "x" }),
        json!({ "speed": 1 }),
        json!({ "burst": 0 }),
    ] {
        let (status, problem) = served.post(path, &wrong).await;
        assert_eq!(status, 400, "{wrong}: {problem}");
    }
    assert_eq!(served.get("/admin/resources").await.1["user"]["preload"], policy);
}

#[tokio::test]
async fn keys_are_warmed_and_everything_is_invalidated_only_if_that_is_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &settings(), &[]);
    let (status, warmed) =
        served.post("/admin/resources/user/warm", &json!({ "keys": ["1", "2", "4711"] })).await;
    assert_eq!(
        (status, &warmed["loaded"], &warmed["absent"]),
        (200, &json!(2), &json!(1)),
        "{warmed}"
    );
    let path = "/admin/resources/user/invalidate";
    let (_, done) = served.post(path, &json!({ "keys": ["1", "9"], "dry_run": true })).await;
    assert_eq!((&done["delivery"], &done["entries"]), (&json!("dry_run"), &json!(1)));
    assert_eq!(served.post(path, &json!({ "all": true })).await.0, 400);
    let (_, done) = served.post(path, &json!({ "all": true, "confirm": "user" })).await;
    assert_eq!((&done["delivery"], &done["entries"]), (&json!("applied"), &json!(3)), "{done}");
    assert_eq!(served.post("/admin/invalidate", &json!({ "confirm": "x" })).await.0, 400);
    assert_eq!(served.post("/admin/invalidate", &json!({ "confirm": "forewarm" })).await.0, 200);
}

#[tokio::test]
async fn a_source_that_is_gone_is_told_and_what_is_held_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let quote = async |axum::extract::Path(id): axum::extract::Path<String>| {
        axum::Json(json!({ "symbol": id, "price": 7 }))
    };
    let routes = axum::Router::new().route("/quote/{id}", axum::routing::get(quote));
    let mut source = JoinSet::new();
    source.spawn(async move { axum::serve(listener, routes).await });
    let settings = format!(
        "{COMMON}
        [sources.quotes.http]
        url = \"http://{address}\"
        [resources.quote]
        source = \"quotes\"
        path = \"/quote/{{id}}\"
        policy = {{ source = {{ attempts = 1, breaker_failures = 2 }} }}
        "
    );
    let served = Served::start(folder.path(), &settings, &[]);
    assert_eq!(served.get("/v1/quote/A").await.1, json!({ "symbol": "A", "price": 7 }));
    source.shutdown().await;
    let mut seen = Vec::new();
    while seen.last() != Some(&503) {
        let (status, problem) = served.get(&format!("/v1/quote/B{}", seen.len())).await;
        assert!([200, 502, 503].contains(&status), "{problem}");
        seen.push(status);
        assert!(seen.len() < 10, "the source is not left alone: {seen:?}");
    }
    let (_, problem) = served.get("/v1/quote/C").await;
    assert!(problem["detail"].as_str().unwrap().contains("left alone"), "{problem}");
    assert_eq!(served.get("/v1/quote/A").await.0, 200);
    let (status, ready) = served.get("/readyz").await;
    assert_eq!((status, &ready["state"]), (200, &json!("degraded")), "{ready}");
}

#[tokio::test]
async fn the_last_minutes_are_told_of_a_resource_or_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &settings(), &[]);
    for _ in 0..3 {
        served.get("/v1/user/7").await;
    }
    let reads = async |query: &str| {
        let (status, history) = served.get(&format!("/admin/history{query}")).await;
        assert_eq!(status, 200, "{history}");
        let samples = history["samples"].as_array().unwrap().iter();
        samples.map(|sample| sample["figures"]["reads"].as_u64().unwrap()).sum::<u64>()
    };
    until("they are told", async || reads("?resource=user").await >= 3).await;
    // `right` is related to it: it was loaded ahead, and not read.
    assert_eq!((reads("?resource=user").await, reads("?resource=right").await), (3, 0));
    // Jobs read as well.
    assert!(reads("").await >= 3);
    for path in ["/admin/history", "/admin/events"] {
        assert_eq!(served.get(&format!("{path}?resource=nothing")).await.0, 404);
    }
}
