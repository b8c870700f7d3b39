//! A Prometheus that watches a service whose L2 is killed.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use forewarm::lab::{self, Data, RedisServer};
use serde_json::Value;

use crate::commands::{SHOP, serve, shop, status, stop};
use crate::served::{Served, client};

/// A Prometheus that runs. It is killed if the test ends before it does.
struct Prometheus {
    child: Child,
    address: String,
    client: reqwest::Client,
}

const SETTINGS: &str = "
global:
  scrape_interval: 250ms
  scrape_timeout: 200ms
  evaluation_interval: 250ms
rule_files: [rules.yml]
scrape_configs:
  - job_name: forewarm
    static_configs:
      - targets: [TARGET]
";

/// Long enough for anything that comes at all, however busy the machine is.
const IN_TIME: Duration = Duration::from_mins(2);

impl Prometheus {
    /// Starts one that watches a service, and does not wait before it tells.
    async fn watch(home: &Path, served: &Served) -> Self {
        let settings = SETTINGS.replace("TARGET", &format!("\"{}\"", served.address()));
        fs::write(home.join("prometheus.yml"), settings).unwrap();
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus/rules.yml");
        let rules = fs::read_to_string(rules).unwrap();
        let hasty: Vec<_> = rules
            .lines()
            .map(|line| match line.trim_start().strip_prefix("for: ") {
                Some(_) => "        for: 1s",
                None => line,
            })
            .collect();
        fs::write(home.join("rules.yml"), hasty.join("\n")).unwrap();
        // Whoever takes the port before Prometheus does makes it end, and it is tried again.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = port.local_addr().unwrap().to_string();
            drop(port);
            let child = Command::new("prometheus")
                .arg("--config.file=prometheus.yml")
                .arg("--storage.tsdb.path=figures")
                .arg(format!("--web.listen-address={address}"))
                .current_dir(home)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(fs::File::create(home.join("prometheus.log")).unwrap())
                .spawn();
            let child = child.unwrap_or_else(|error| {
                panic!("prometheus does not run ({error}): Debian has a package of that name")
            });
            let mut prometheus = Self { child, address, client: client() };
            if prometheus.is_ready().await {
                return prometheus;
            }
        }
        panic!("{}", fs::read_to_string(home.join("prometheus.log")).unwrap());
    }

    /// Waits until it answers; false if it has ended.
    async fn is_ready(&mut self) -> bool {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        while self.child.try_wait().unwrap().is_none() {
            let answer = self.client.get(format!("http://{}/-/ready", self.address)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return true;
            }
            ticks.tick().await;
        }
        false
    }

    async fn ask(&self, path: &str, terms: &[(&str, &str)]) -> Value {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let answer = self.client.get(url).query(terms).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["status"], "success", "{answer}");
        answer["data"].clone()
    }

    /// What a query gives, as texts.
    async fn figures(&self, query: &str) -> Vec<String> {
        let answer = self.ask("query", &[("query", query)]).await;
        let samples = answer["result"].as_array().unwrap();
        samples.iter().map(|sample| sample["value"][1].as_str().unwrap().to_owned()).collect()
    }

    /// The alerts that fire, by name.
    async fn firing(&self) -> Vec<String> {
        let answer = self.ask("alerts", &[]).await;
        let alerts = answer["alerts"].as_array().unwrap().iter();
        let firing = alerts.filter(|alert| alert["state"] == "firing");
        firing.map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until something is so.
    async fn until(&self, what: &str, is_so: impl AsyncFn(&Self) -> bool) {
        let waiting = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(50));
            while !is_so(self).await {
                ticks.tick().await;
            }
        };
        let waited = tokio::time::timeout(IN_TIME, waiting).await;
        assert!(waited.is_ok(), "not in time: {what}; firing: {:?}", self.firing().await);
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_fires_while_l2_is_away_and_clears_when_it_is_back() {
    let redis = RedisServer::launch(lab::RedisOptions::default()).await.unwrap();
    let home = shop().await;
    let l2 = format!("[l2.redis]\nurl = \"{}\"\n", redis.url());
    let served = serve(home.path(), &format!("{SHOP}{l2}"));
    for id in [1, 2, 1, 2, 1, 1] {
        assert_eq!(status(&served, &format!("/v1/user/{id}"), "").await, 200);
    }
    let prometheus = Prometheus::watch(home.path(), &served).await;

    let l2_is = |up: &'static str| {
        async move |prometheus: &Prometheus| prometheus.figures("forewarm_l2_up").await == [up]
    };
    prometheus.until("L2 is seen", l2_is("1")).await;
    prometheus
        .until("the rules are evaluated", async |prometheus| {
            let rules = prometheus.ask("rules", &[]).await;
            let groups = rules["groups"].as_array().unwrap().iter();
            let mut all = groups.flat_map(|group| group["rules"].as_array().unwrap());
            all.all(|rule| rule["health"] == "ok")
        })
        .await;
    let of_job = r#"forewarm_job_runs_total{exported_job="popular", outcome="succeeded"}"#;
    assert_eq!(prometheus.figures(of_job).await.len(), 1, "the label of jobs is called otherwise");
    // Reads that come while it is watched make a ratio.
    prometheus
        .until("a hit ratio is recorded", async |prometheus| {
            assert_eq!(status(&served, "/v1/user/1", "").await, 200);
            let query = r#"resource:forewarm_hit_ratio:rate5m{resource="user"}"#;
            prometheus.figures(query).await == ["1"]
        })
        .await;
    let fires = async |prometheus: &Prometheus| {
        prometheus.firing().await.iter().any(|name| name == "ForewarmL2Down")
    };
    assert!(!fires(&prometheus).await);

    redis.kill().unwrap();
    prometheus.until("the alert fires", fires).await;
    // Readers do not notice.
    assert_eq!(status(&served, "/v1/user/1", "").await, 200);
    assert_eq!(status(&served, "/v1/user/77", "").await, 200);

    redis.start(Data::Kept).await.unwrap();
    prometheus.until("the alert clears", async |prometheus| !fires(prometheus).await).await;
    prometheus.until("L2 is seen again", l2_is("1")).await;
    let (ended, log) = stop(served);
    assert!(ended.success(), "{log}");
}
