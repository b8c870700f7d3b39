//! What jobs usually do, on paused time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forewarm::{
    Clock, Forewarm, HealthState, JobError, LoadError, Policy, Resource, RunOutcome, work,
};
use jiff::SignedDuration;
use tokio::time::sleep;

use crate::sim::{Line, SimStore};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// A source of prices that knows what it was asked for, and fails for some.
#[derive(Clone, Default)]
struct Exchange(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    asked: Vec<String>,
    closed: BTreeSet<String>,
}

impl Exchange {
    fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut self.0.lock().unwrap().asked);
        asked.sort();
        asked
    }

    fn closes(&self, symbol: &str) {
        self.0.lock().unwrap().closed.insert(symbol.to_owned());
    }

    fn opens(&self) {
        self.0.lock().unwrap().closed.clear();
    }

    fn resource(&self, forewarm: &Forewarm, ttl: Duration) -> Resource<String, usize> {
        let exchange = self.clone();
        let policy = Policy { ttl, ..Policy::default() };
        let stocks = forewarm.resource("stock").policy(policy).load_with(move |symbol: String| {
            let answer = {
                let mut state = exchange.0.lock().unwrap();
                state.asked.push(symbol.clone());
                if state.closed.contains(&symbol) {
                    Err(LoadError::permanent("no trading"))
                } else {
                    Ok(state.asked.len())
                }
            };
            async move {
                sleep(Duration::from_millis(50)).await;
                answer
            }
        });
        stocks.build().unwrap()
    }
}

async fn engine() -> Forewarm {
    let clock = Clock::starting_at("2026-03-10T12:00:01Z".parse().unwrap());
    Forewarm::builder().clock(clock).build().await.unwrap()
}

fn symbols<const N: usize>(symbols: [&str; N]) -> [String; N] {
    symbols.map(String::from)
}

#[tokio::test(start_paused = true)]
async fn a_pinned_set_is_never_away_and_never_older_than_the_interval() {
    let (forewarm, exchange) = (engine().await, Exchange::default());
    let stocks = exchange.resource(&forewarm, 10 * MINUTE);
    let pinned = symbols(["AAPL", "GOOGL", "MSFT"]);
    let job = forewarm.job("stocks").cron("*/5 * * * *", "UTC");
    let job = job.run_with(work::renew(&stocks, pinned.clone())).build().unwrap();
    forewarm.start().await.unwrap();
    sleep(5 * MINUTE).await;
    assert_eq!(exchange.asked(), pinned);
    for _ in 0..48 {
        sleep(MINUTE).await;
        for symbol in &pinned {
            let read = stocks.peek(symbol).unwrap();
            assert!(read.age <= 5 * MINUTE, "{symbol} {:?}", read.age);
        }
    }
    assert_eq!(exchange.asked().len(), 9 * 3);
    assert_eq!(job.runs(1).await[0].outcome, Some(RunOutcome::Succeeded));
    // Nobody has read anything: renewing leaves no trace in the statistics of readers.
    assert_eq!(forewarm.stats()[0].total_accesses, 0);
}

#[tokio::test(start_paused = true)]
async fn one_key_that_fails_stops_no_other_and_fails_the_run() {
    let (forewarm, exchange) = (engine().await, Exchange::default());
    let stocks = exchange.resource(&forewarm, HOUR);
    let job = forewarm.job("stocks").run_with(work::renew(&stocks, symbols(["A", "B", "C"])));
    let job = job.build().unwrap();
    forewarm.start().await.unwrap();
    exchange.closes("B");
    job.trigger().unwrap();
    sleep(20 * SECOND).await;
    let run = &job.runs(1).await[0];
    assert_eq!((run.outcome, run.attempts), (Some(RunOutcome::Failed), 3));
    assert!(run.error.as_ref().unwrap().contains("1 keys"), "{run:?}");
    // What the first attempt has loaded is not loaded again by the others.
    let asked = exchange.asked();
    let of = |symbol: &str| asked.iter().filter(|asked| *asked == symbol).count();
    assert_eq!((of("A"), of("B"), of("C")), (1, 3, 1), "{asked:?}");
    assert!(stocks.peek("A").is_some() && stocks.peek("C").is_some());
    exchange.opens();
    sleep(10 * MINUTE).await;
    job.trigger().unwrap();
    sleep(20 * SECOND).await;
    assert_eq!(job.runs(1).await[0].outcome, Some(RunOutcome::Succeeded));
    assert!(stocks.peek("B").is_some());
}

#[tokio::test(start_paused = true)]
async fn what_is_hot_is_renewed_and_nothing_else() {
    let (forewarm, exchange) = (engine().await, Exchange::default());
    let stocks = exchange.resource(&forewarm, HOUR);
    let job = forewarm.job("hot").every(5 * MINUTE).run_with(work::renew_hot(&stocks, 2));
    job.build().unwrap();
    forewarm.start().await.unwrap();
    for (symbol, reads) in [("A", 20), ("B", 3), ("C", 10)] {
        for _ in 0..reads {
            stocks.get(symbol).await.unwrap();
        }
    }
    assert_eq!(exchange.asked(), ["A", "B", "C"]);
    sleep(5 * MINUTE).await;
    assert_eq!(exchange.asked(), ["A", "C"]);
}

#[tokio::test(start_paused = true)]
async fn a_warm_up_loads_what_tomorrow_needs_and_skips_what_is_fresh() {
    let (forewarm, exchange) = (engine().await, Exchange::default());
    let forecasts = exchange.resource(&forewarm, 36 * HOUR);
    let warm_up = work::warm(&forecasts, |context| {
        let tomorrow = context.scheduled() + SignedDuration::from_hours(24);
        let date = tomorrow.strftime("%F").to_string();
        async move { Ok(["Beijing", "Shanghai"].map(|city| format!("{city}:{date}"))) }
    });
    let job = forewarm.job("warm-up").daily_at(23, 0, "UTC").run_with(warm_up).build().unwrap();
    forewarm.start().await.unwrap();
    forecasts.get("Beijing:2026-03-11").await.unwrap();
    exchange.asked();
    sleep(11 * HOUR).await;
    assert_eq!(exchange.asked(), ["Shanghai:2026-03-11"]);
    assert_eq!(job.runs(1).await[0].outcome, Some(RunOutcome::Succeeded));
    sleep(24 * HOUR).await;
    assert_eq!(exchange.asked(), ["Beijing:2026-03-12", "Shanghai:2026-03-12"]);
}

#[tokio::test(start_paused = true)]
async fn a_warm_up_ends_at_its_deadline_and_keeps_what_it_has_loaded() {
    let (forewarm, exchange) = (engine().await, Exchange::default());
    let stocks = exchange.resource(&forewarm, HOUR);
    let many = work::warm(&stocks, |_context| async { Ok((0..10_000).map(|n| n.to_string())) });
    let policy = forewarm::JobPolicy { deadline: 5 * SECOND, ..Default::default() };
    let job = forewarm.job("many").policy(policy).run_with(many).build().unwrap();
    forewarm.start().await.unwrap();
    job.trigger().unwrap();
    sleep(6 * SECOND).await;
    assert_eq!(job.runs(1).await[0].outcome, Some(RunOutcome::Deadline));
    let loaded = exchange.asked().len();
    assert!((100..10_000).contains(&loaded), "{loaded} loads");
    sleep(MINUTE).await;
    assert!(exchange.asked().len() < 100);
}

#[tokio::test(start_paused = true)]
async fn health_names_what_is_ill() {
    let (store, line, exchange) = (SimStore::new(), Line::new(1), Exchange::default());
    let tier = store.connect_over(&line);
    let forewarm = Forewarm::builder().tier(tier).build().await.unwrap();
    exchange.resource(&forewarm, HOUR);
    let broken = forewarm.resource::<u32, u32>("broken");
    let broken = broken.load_with(|_| async { Err::<u32, _>(LoadError::transient("no line")) });
    let broken = broken.build().unwrap();
    let bad = forewarm.job("bad").run_with(|_| async { Err(JobError::permanent("never")) });
    let bad = bad.build().unwrap();
    let checks = forewarm.job("health").every(10 * SECOND).on_every_engine();
    let checks = checks.run_with(work::check_health(&forewarm)).build().unwrap();
    forewarm.start().await.unwrap();
    let state_of = async |name: &str| {
        let health = forewarm.health().await;
        let of = |component: &&forewarm::ComponentHealth| component.name == name;
        (health.state, health.components.iter().find(of).unwrap().state)
    };
    let names: Vec<_> = forewarm.health().await.components.into_iter().map(|c| c.name).collect();
    assert_eq!(
        names,
        ["background", "l2", "source stock", "source broken", "job bad", "job health"]
    );
    sleep(MINUTE).await;
    assert_eq!(checks.runs(1).await[0].outcome, Some(RunOutcome::Succeeded));

    line.cut_for(HOUR);
    assert_eq!(state_of("l2").await, (HealthState::Degraded, HealthState::Down));
    // Not at the very moment at which a check is due, which takes a while now.
    sleep(MINUTE + 5 * SECOND).await;
    assert!(checks.runs(1).await[0].error.as_ref().unwrap().contains("l2 is down"));
    line.mend();
    sleep(MINUTE).await;
    assert_eq!(state_of("l2").await.1, HealthState::Up);
    assert_eq!(checks.runs(1).await[0].outcome, Some(RunOutcome::Succeeded));

    for nth in 0..100 {
        drop(broken.get(&nth).await);
    }
    assert_eq!(state_of("source stock").await.1, HealthState::Up);
    assert_ne!(state_of("source broken").await.1, HealthState::Up);
    bad.trigger().unwrap();
    sleep(SECOND).await;
    assert_eq!(state_of("job bad").await.1, HealthState::Degraded);
    forewarm.shutdown(SECOND).await;
    assert_eq!(state_of("background").await, (HealthState::Down, HealthState::Down));
}
