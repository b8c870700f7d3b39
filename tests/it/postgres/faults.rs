//! A server, or a network, that fails.

use forewarm::TierError;
use forewarm::lab::{Data, Proxy, Way};
use futures_util::FutureExt as _;
use tokio::time::timeout;

use super::*;

const KEY: &str = "p:user:1";

/// As the engine waits for an answer.
const DEADLINE: Duration = Duration::from_millis(100);

/// What came of a call within the deadline.
async fn meanwhile<T>(
    call: impl Future<Output = Result<T, TierError>>,
) -> Option<Result<(), TierError>> {
    timeout(DEADLINE, call).await.ok().map(|answer| answer.map(drop))
}

/// Every call there is, given up at a deadline as the engine does.
async fn calls(tier: &PostgresTier) -> [(&'static str, Option<Result<(), TierError>>); 10] {
    let asks = [asking("p:call:1", Want::Value)];
    let fills = [fill("p:call:1", Permit(1), b"Ada")];
    let (selectors, keys) = ([Selector::Key("p:call:1").into()], ["p:call:1"]);
    let since = Cursor::default();
    [
        ("begin", meanwhile(tier.begin(&asks, MINUTE)).await),
        ("fill", meanwhile(tier.fill(&fills)).await),
        ("put", meanwhile(tier.put(NODE, &fills, &since)).await),
        ("invalidate", meanwhile(tier.invalidate(NODE, &selectors)).await),
        ("expire", meanwhile(tier.expire(NODE, &keys)).await),
        ("poll", meanwhile(tier.poll(&since)).await),
        ("take_run", meanwhile(tier.take_run(&any_run(MINUTE))).await),
        ("merge_hot", meanwhile(tier.merge_hot(NODE, "p:user", &[], MINUTE)).await),
        ("sweep", meanwhile(tier.sweep(1)).await),
        ("size", meanwhile(tier.size()).await),
    ]
}

async fn launch() -> (PostgresServer, Home) {
    let server = PostgresServer::launch(Server::default()).await.unwrap();
    let home = Home::at(server.url());
    (server, home)
}

/// Waits until the tier works again, and says for how long it did not.
async fn recovery(tier: &PostgresTier) -> Duration {
    let began = tokio::time::Instant::now();
    until("the tier works again", async || {
        let size = timeout(Duration::from_millis(500), tier.size()).await;
        size.is_ok_and(|size| size.is_ok())
    })
    .await;
    began.elapsed()
}

#[tokio::test]
async fn a_frozen_server_costs_no_connection_for_longer_than_a_call() {
    let (server, home) = launch().await;
    let tier = home.options().connections(3).open().await.unwrap();
    load(&tier, KEY, b"Ada").await;
    server.freeze().unwrap();
    // More calls than there are connections, each of which is given up.
    for _ in 0..3 {
        for (name, answer) in calls(&tier).await {
            assert!(answer.is_none_or(|answer| answer.is_err()), "{name}");
        }
    }
    server.thaw().unwrap();
    let took = recovery(&tier).await;
    assert!(took < 5 * SECOND, "{took:?}");
    load(&tier, "p:user:2", b"Bob").await;
    assert_eq!(value(&tier, "p:user:2").await.unwrap(), b"Bob");
}

/// What a frozen server was told, it does when it is thawed: nothing old comes back by that.
#[tokio::test]
async fn what_a_frozen_server_does_late_brings_nothing_back() {
    let (server, home) = launch().await;
    let tier = home.tier().await;
    for round in 0..5 {
        let permit = loading(&tier, KEY).await;
        let since = caught_up(&tier).await;
        server.freeze().unwrap();
        let fills = [fill(KEY, permit, b"old")];
        assert!(timeout(DEADLINE, tier.fill(&fills)).await.is_err());
        let puts = [fill("p:user:2", Permit(0), b"old")];
        assert!(timeout(DEADLINE, tier.put(NODE, &puts, &since)).await.is_err());
        server.thaw().unwrap();
        let keys = [Selector::Key(KEY).into(), Selector::Key("p:user:2").into()];
        until("it is told", async || tier.invalidate(NODE, &keys).await.is_ok()).await;
        for _ in 0..20 {
            assert_eq!(value(&tier, KEY).await, None, "{round}");
            assert_eq!(value(&tier, "p:user:2").await, None, "{round}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn calls_fail_at_once_while_no_server_is_there_and_work_soon_after() {
    let (server, home) = launch().await;
    let tier = home.tier().await;
    server.kill().unwrap();
    let began = tokio::time::Instant::now();
    for _ in 0..10 {
        for (name, answer) in calls(&tier).await {
            assert!(answer.is_some_and(|answer| answer.is_err()), "{name}");
        }
    }
    assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
    server.start(Data::Kept).await.unwrap();
    let took = recovery(&tier).await;
    assert!(took < 2 * SECOND, "{took:?}");
}

#[tokio::test]
async fn a_tier_can_be_opened_before_its_server_is_there() {
    let (server, home) = launch().await;
    server.kill().unwrap();
    let tier = in_time(home.tier()).await;
    let error = tier.size().await.unwrap_err();
    assert!(format!("{error:?}").contains("refused"), "{error:?}");
    server.start(Data::Kept).await.unwrap();
    recovery(&tier).await;
    load(&tier, KEY, b"Ada").await;
}

#[tokio::test]
async fn connections_that_were_closed_by_the_server_are_replaced_unnoticed() {
    let home = Home::shared().await;
    let tier = home.options().connections(4).open().await.unwrap();
    let kill = "
        select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = $1 and pid <> pg_backend_pid()";
    let url = format!("{}?application_name=to_be_killed", home.url);
    let doomed = PostgresOptions::new(&url).unwrap().schema(home.schema.clone());
    let doomed = doomed.connections(4).open().await.unwrap();
    for round in 0..10 {
        let sizes = (0..4).map(|_| doomed.size());
        for size in futures_util::future::join_all(sizes).await {
            size.unwrap();
        }
        let mut db = home.other().await;
        query(kill).bind("to_be_killed").execute(&mut db).await.unwrap();
        let key = format!("p:user:{round}");
        load(&tier, &key, b"Ada").await;
        // Whatever became of the connections that were idle, or being made.
        assert_eq!(value(&doomed, &key).await.unwrap(), b"Ada");
        invalidate(&doomed, Selector::Key(&key)).await;
    }
}

#[tokio::test]
async fn whoever_listens_hears_again_after_its_connection_was_killed() {
    let home = Home::shared().await;
    let (tier, neighbour) = (home.tier().await, home.tier().await);
    let mut db = home.other().await;
    let channel = home.schema.clone();
    for _ in 0..3 {
        let kill = "
            select count(pg_terminate_backend(pid)) from pg_stat_activity
            where query = $1 and pid <> pg_backend_pid()";
        let listening = format!("LISTEN \"{}\"", channel.replace('"', "\"\""));
        until("they listen", async || {
            let killed: i64 = query_scalar(kill).bind(&listening).fetch_one(&mut db).await.unwrap();
            killed > 0
        })
        .await;
        // Hints that were missed are not waited for; one that comes now is heard.
        let hears = async || {
            let since = caught_up(&neighbour).await;
            invalidate(&tier, Selector::Key(KEY)).await;
            timeout(DEADLINE, neighbour.changed()).await.is_ok()
                && !poll(&neighbour, &since).await.changes.is_empty()
        };
        until("it hears again", hears).await;
    }
}

#[tokio::test]
async fn a_hint_takes_milliseconds_and_none_is_left_over() {
    let home = Home::shared().await;
    let (tier, neighbour) = (home.tier().await, home.tier().await);
    let mut since = caught_up(&neighbour).await;
    // The first one says that listening has begun.
    until("it listens", async || {
        news(&neighbour, &mut since).await;
        timeout(DEADLINE, neighbour.changed()).await.is_err()
    })
    .await;
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let began = tokio::time::Instant::now();
        invalidate(&tier, Selector::Key(KEY)).await;
        in_time(neighbour.changed()).await;
        slowest = slowest.max(began.elapsed());
        assert_eq!(news(&neighbour, &mut since).await.len(), 1);
    }
    assert!(timeout(DEADLINE, neighbour.changed()).await.is_err());
    // One that came before a poll began is answered by the poll.
    let mut db = home.other().await;
    invalidate_in(&tier, &mut db, &[Selector::Key(KEY)]).await;
    in_time(neighbour.changed()).await;
    assert!(slowest < SECOND, "{slowest:?}");
}

#[tokio::test]
async fn nobody_is_notified_where_that_is_not_wanted() {
    let home = Home::shared().await;
    let (tier, neighbour) = (home.options().notify(false).open().await.unwrap(), home.tier().await);
    let mut since = caught_up(&neighbour).await;
    until("it listens", async || {
        news(&neighbour, &mut since).await;
        timeout(DEADLINE, neighbour.changed()).await.is_err()
    })
    .await;
    invalidate(&tier, Selector::Key(KEY)).await;
    invalidate_in(&tier, &mut home.other().await, &[Selector::Key(KEY)]).await;
    assert!(timeout(DEADLINE, neighbour.changed()).await.is_err());
    assert_eq!(news(&neighbour, &mut since).await.len(), 2);
}

/// Whatever a call had come to when it was given up, the next one is not disturbed by it.
#[tokio::test]
async fn calls_that_are_given_up_at_any_point_leave_nothing_half_done() {
    let home = Home::shared().await;
    let tier = home.options().connections(2).open().await.unwrap();
    load(&tier, "p:user:stays", b"Ada").await;
    for nth in 0..60 {
        let key = format!("p:user:{nth}");
        let permit = loading(&tier, &key).await;
        let fills = [fill(&key, permit, b"old")];
        let patience = Duration::from_micros(50 * nth);
        let _given_up = timeout(patience, tier.fill(&fills)).await;
        let keys = [Selector::Key(&key).into()];
        let _given_up = timeout(patience, tier.invalidate(NODE, &keys)).await;
        drop(tier.size().now_or_never());
        assert_eq!(value(&tier, "p:user:stays").await.unwrap(), b"Ada");
        invalidate(&tier, Selector::Key(&key)).await;
        assert_eq!(value(&tier, &key).await, None);
    }
}

/// A reply that is lost says nothing of what was done.
#[tokio::test]
async fn a_lost_reply_gives_no_permit_twice() {
    let server = shared().await;
    let proxy = Proxy::start(server.addr()).await.unwrap();
    let home = Home::at(server.url_at(proxy.addr()));
    let direct = Home { url: server.url(), schema: home.schema.clone(), clock: home.clock.clone() };
    let (tier, neighbour) = (home.tier().await, direct.tier().await);
    for nth in 0..5 {
        let key = format!("p:user:{nth}");
        loading(&tier, "p:user:warm").await;
        tier.invalidate(NODE, &[Selector::Key("p:user:warm").into()]).await.unwrap();
        proxy.block(Way::ToClient);
        let ask = asking(&key, Want::Permit);
        assert!(timeout(DEADLINE, tier.begin(&[ask], 5 * MINUTE)).await.is_err());
        proxy.heal().await;
        // It may have been given: then nobody else gets one, and it can be used once.
        let (begun, permit) = begin(&neighbour, &key).await;
        if begun == Begun::Permit {
            assert_eq!(fill_in(&neighbour, &key, permit, b"Ada").await, Filled::Stored);
        } else {
            assert_eq!(begun, Begun::Busy);
            assert_eq!(fill_in(&neighbour, &key, ask.permit, b"Ada").await, Filled::Stored);
        }
        assert_eq!(fill_in(&neighbour, &key, ask.permit, b"Bob").await, Filled::Refused);
        recovery(&tier).await;
    }
}

#[tokio::test]
async fn a_network_that_is_slow_or_cut_is_got_over() {
    let server = shared().await;
    let proxy = Proxy::start(server.addr()).await.unwrap();
    let home = Home::at(server.url_at(proxy.addr()));
    let tier = home.tier().await;
    load(&tier, KEY, b"Ada").await;
    proxy.delay(Way::ToClient, Duration::from_millis(300));
    for (name, answer) in calls(&tier).await {
        assert!(answer.is_none_or(|answer| answer.is_err()), "{name}");
    }
    proxy.heal().await;
    recovery(&tier).await;
    proxy.reset().await;
    recovery(&tier).await;
    proxy.cut().await;
    for _ in 0..5 {
        calls(&tier).await;
    }
    proxy.heal().await;
    let took = recovery(&tier).await;
    assert!(took < 3 * SECOND, "{took:?}");
    assert_eq!(value(&tier, KEY).await.unwrap(), b"Ada");
}

#[tokio::test]
async fn a_password_is_used_and_never_shown_and_certificates_are_checked() {
    let options = Server::default().password("s3cret").tls();
    let server = PostgresServer::launch(options).await.unwrap();
    let authority = server.authority().unwrap();
    let url = format!("{}?sslmode=verify-full&sslrootcert={}", server.url(), authority.display());
    let tier = PostgresOptions::new(&url).unwrap().open().await.unwrap();
    load(&tier, KEY, b"Ada").await;
    assert!(!format!("{tier:?}").contains("s3cret"));
    let unverified = format!("{}?sslmode=verify-full", server.url());
    for wrong in [unverified, url.replace("s3cret", "gu3ss")] {
        let tier = PostgresOptions::new(&wrong).unwrap().open().await.unwrap();
        let error = tier.size().await.unwrap_err();
        let said = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
        assert!(!said.contains("s3cret") && !said.contains("gu3ss"), "{said}");
    }
}

/// One who holds a row for long, as a session that was frozen, holds up nobody for long.
#[tokio::test]
async fn a_row_that_is_held_is_not_waited_for() {
    let home = Home::shared().await;
    let tier = home.tier().await;
    load(&tier, KEY, b"Ada").await;
    let renewal = asking(KEY, Want::Permit);
    assert_eq!(tier.begin(&[renewal], 5 * MINUTE).await.unwrap(), [Begun::Permit]);
    let mut db = home.other().await;
    let mut transaction = db.begin().await.unwrap();
    let hold = home.sql("select 1 from forewarm.entry for update");
    query(hold).execute(&mut *transaction).await.unwrap();
    assert_eq!(value(&tier, KEY).await.unwrap(), b"Ada");
    let asks = [asking(KEY, Want::Permit)];
    assert_eq!(tier.begin(&asks, 5 * MINUTE).await.unwrap(), [Begun::Busy]);
    assert_eq!(fill_in(&tier, KEY, renewal.permit, b"old").await, Filled::Refused);
    assert_eq!(tier.sweep(10).await.unwrap().expired, 0);
    // What is invalidated is void, whether or not its row can be removed.
    invalidate(&tier, Selector::Key(KEY)).await;
    assert_eq!(value(&tier, KEY).await, None);
    transaction.rollback().await.unwrap();
    assert_eq!(value(&tier, KEY).await, None);
    load(&tier, KEY, b"new").await;
}
