//! What is particular to the SQLite tier: faults of its file, and what it shares the file with.

use std::fs;
use std::future::Future;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use forewarm::{
    Ask, Begun, Clock, Cursor, Fill, Filled, Permit, Selector, SqliteOptions, SqliteTier,
    Tier as _, TierError, Want,
};
use jiff::{SignedDuration, Timestamp};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteLockingMode};
use sqlx::{ConnectOptions as _, Connection as _, SqlStr, query, query_scalar};
use tempfile::TempDir;
use tokio::task::yield_now;

use crate::canary::watch::Watch;
use crate::tier_contract::{self, Bed, NODE};

mod groups;
mod log;
mod sessions;

const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);

/// How long a file that fails is left alone.
const RETRY_AFTER: Duration = Duration::from_millis(400);

/// A directory with a database in it, and a clock that tests move.
struct Home {
    directory: TempDir,
    clock: Clock,
}

impl Home {
    fn new() -> Self {
        let clock = Clock::starting_at(Timestamp::from_second(1_800_000_000).unwrap());
        Self { directory: tempfile::tempdir().unwrap(), clock }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn path(&self) -> PathBuf {
        self.file("cache.db")
    }

    fn options(&self) -> SqliteOptions {
        SqliteOptions::new(self.path()).clock(self.clock.clone())
    }

    async fn open(&self) -> SqliteTier {
        self.options().open().await.unwrap()
    }

    /// A connection that is not the tier's.
    async fn other(&self) -> SqliteConnection {
        self.other_options().connect().await.unwrap()
    }

    fn other_options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new().filename(self.path()).create_if_missing(true)
    }
}

/// A file for the contract of all tiers.
struct Common(Home);

impl Bed for Common {
    type Tier = SqliteTier;

    const UNIT: Duration = HOUR;

    async fn new() -> Self {
        Self(Home::new())
    }

    async fn open(&self) -> SqliteTier {
        // However busy the machine is, those who write at once wait for each other.
        self.0.options().busy_timeout(30 * SECOND).open().await.unwrap()
    }

    async fn pass(&self, span: Duration) {
        self.0.clock.advance(span);
    }
}

fn wanting(key: &str, permit: u64) -> Ask<'_> {
    Ask { key, permit: Permit(permit), want: Want::Value }
}

fn fill<'a>(key: &'a str, permit: u64, value: &'a [u8]) -> Fill<'a> {
    let age = Duration::ZERO;
    let (fresh_for, keep_for) = (HOUR, 2 * HOUR);
    let (permit, tags, version) = (Permit(permit), &[][..], None);
    Fill { key, permit, value, age, fresh_for, keep_for, tags, version }
}

async fn begin(tier: &SqliteTier, key: &str, permit: u64) -> Begun {
    in_time(tier.begin(&[wanting(key, permit)], HOUR)).await.unwrap().remove(0)
}

async fn value(tier: &SqliteTier, key: &str) -> Option<Vec<u8>> {
    match begin(tier, key, 0).await {
        Begun::Hit(stored) => Some(stored.value),
        _ => None,
    }
}

async fn put(tier: &SqliteTier, key: &str, value: &[u8]) {
    put_all(tier, &[fill(key, 0, value)]).await.unwrap();
}

/// Puts values, in the name of one who has heard of everything that happened before.
async fn put_all(tier: &SqliteTier, puts: &[Fill<'_>]) -> Result<(), TierError> {
    let mut since = Cursor::default();
    loop {
        let polled = tier.poll(&since).await?;
        since = polled.cursor;
        if !polled.has_more {
            break;
        }
    }
    let filled = tier.put(NODE, puts, &since).await?;
    assert!(filled.iter().all(|filled| *filled == Filled::Stored));
    Ok(())
}

/// What the calls of a tier came to. None may take long, whatever has become of the file.
async fn calls(tier: &SqliteTier) -> [(&'static str, Result<(), TierError>); 7] {
    let fills = [fill("p:call:1", 1, b"Ada")];
    let asks = [wanting("p:call:1", 1)];
    [
        ("begin", in_time(tier.begin(&asks, HOUR)).await.map(drop)),
        ("fill", in_time(tier.fill(&fills)).await.map(drop)),
        ("put", in_time(tier.put(NODE, &fills, &Cursor::default())).await.map(drop)),
        ("invalidate", in_time(tier.invalidate(NODE, &[Selector::Key("p:call:1").into()])).await),
        ("expire", in_time(tier.expire(NODE, &["p:call:1"])).await),
        ("sweep", in_time(tier.sweep(1)).await.map(drop)),
        ("size", in_time(tier.size()).await.map(drop)),
    ]
}

async fn in_time<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), call).await.unwrap()
}

async fn all_fail(tier: &SqliteTier) {
    for (name, outcome) in calls(tier).await {
        assert!(outcome.is_err(), "{name} should fail");
    }
}

async fn all_work(tier: &SqliteTier) {
    for (name, outcome) in calls(tier).await {
        assert!(outcome.is_ok(), "{name}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_of_a_tier_holds() {
    tier_contract::holds_for::<Common>().await;
}

#[tokio::test]
async fn a_path_that_cannot_be_a_database_is_refused() {
    let home = Home::new();
    symlink(home.file("elsewhere"), home.file("link")).unwrap();
    let paths =
        [PathBuf::new(), home.directory.path().into(), home.file("link"), home.file("no/cache.db")];
    for path in paths {
        let error = SqliteTier::open(&path).await.unwrap_err();
        assert_eq!(error.field(), "path", "{path:?}: {error}");
    }
    assert!(!home.file("elsewhere").exists());
}

#[tokio::test]
async fn the_file_and_those_beside_it_are_for_their_owner_only() {
    let home = Home::new();
    let tier = home.open().await;
    put(&tier, "p:user:1", b"Ada").await;
    for name in ["cache.db", "cache.db-forewarm", "cache.db-shm", "cache.db-wal"] {
        let mode = fs::metadata(home.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}: {mode:o}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_as_it_is() {
    let home = Home::new();
    let text = "This is no database.\n".repeat(1000);
    fs::write(home.path(), &text).unwrap();
    let tier = home.open().await;
    all_fail(&tier).await;
    home.clock.advance(SECOND);
    all_fail(&tier).await;
    assert_eq!(fs::read_to_string(home.path()).unwrap(), text);

    home.clock.advance(SECOND);
    let tried_at = home.clock.now();
    all_fail(&tier).await;
    fs::rename(home.path(), home.file("aside")).unwrap();
    let at_once = calls(&tier).await;
    if home.clock.now().since(tried_at) < RETRY_AFTER {
        assert!(
            at_once.iter().all(|(_, outcome)| outcome.is_err()),
            "it is not tried all the time"
        );
    }
    home.clock.advance(SECOND);
    all_work(&tier).await;
    assert_eq!(fs::read_to_string(home.file("aside")).unwrap(), text);
}

#[tokio::test]
async fn a_file_that_is_locked_at_first_is_used_when_it_is_free() {
    let home = Home::new();
    let exclusive = home.other_options().locking_mode(SqliteLockingMode::Exclusive);
    let mut other = exclusive.connect().await.unwrap();
    query("create table application (id integer)").execute(&mut other).await.unwrap();
    let tier = in_time(home.open()).await;
    all_fail(&tier).await;
    home.clock.advance(SECOND);
    all_fail(&tier).await;

    other.close().await.unwrap();
    home.clock.advance(SECOND);
    all_work(&tier).await;
}

#[tokio::test]
async fn while_another_writes_hits_are_still_hits() {
    let home = Home::new();
    let tier = home.open().await;
    put(&tier, "p:user:1", b"Ada").await;
    let mut other = home.other().await;
    query("begin immediate").execute(&mut other).await.unwrap();
    for _ in 0..3 {
        assert_eq!(value(&tier, "p:user:1").await.unwrap(), b"Ada");
        assert_eq!(begin(&tier, "p:user:2", 2).await, Begun::Miss);
    }
    assert!(in_time(put_all(&tier, &[fill("p:user:1", 0, b"Bob")])).await.is_err());
    let failed_at = home.clock.now();
    assert!(in_time(tier.invalidate(NODE, &[Selector::Key("p:user:1").into()])).await.is_err());

    query("rollback").execute(&mut other).await.unwrap();
    let at_once = begin(&tier, "p:user:3", 3).await;
    if home.clock.now().since(failed_at) < RETRY_AFTER {
        assert_eq!(at_once, Begun::Miss, "permits pause");
    }
    home.clock.advance(SECOND);
    assert_eq!(begin(&tier, "p:user:2", 2).await, Begun::Permit);
    assert_eq!(value(&tier, "p:user:1").await.unwrap(), b"Ada");
    all_work(&tier).await;
}

/// The version that a writer must know, in the header: of one that is unknown, SQLite only reads.
/// So the file is read-only for root too.
fn set_write_version(path: &Path, version: u8) {
    use std::os::unix::fs::FileExt as _;

    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[version], 18).unwrap();
}

#[tokio::test]
async fn a_file_that_can_only_be_read_is_read() {
    let home = Home::new();
    let tier = home.open().await;
    put(&tier, "p:user:1", b"Ada").await;
    tier.close().await;
    set_write_version(&home.path(), 3);

    let tier = home.open().await;
    for _ in 0..3 {
        let Begun::Hit(stored) = begin(&tier, "p:user:1", 1).await else { panic!("no hit") };
        assert_eq!((&*stored.value, stored.is_restored), (&b"Ada"[..], true));
        assert_eq!(begin(&tier, "p:user:2", 2).await, Begun::Miss);
        assert!(in_time(tier.invalidate(NODE, &[Selector::Key("p:user:1").into()])).await.is_err());
        assert_eq!(tier.size().await.unwrap().entries, 1);
        home.clock.advance(SECOND);
    }

    set_write_version(&home.path(), 2);
    home.clock.advance(SECOND);
    all_work(&tier).await;
    assert_eq!(begin(&tier, "p:user:2", 2).await, Begun::Permit);
}

#[tokio::test]
async fn a_file_whose_mode_forbids_writing_is_read() {
    let home = Home::new();
    let tier = home.open().await;
    put(&tier, "p:user:1", b"Ada").await;
    tier.close().await;
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o400)).unwrap();
    // Root may write whatever the mode says; for root there is the case above.
    if fs::OpenOptions::new().write(true).open(home.path()).is_ok() {
        return;
    }
    let tier = home.open().await;
    assert_eq!(value(&tier, "p:user:1").await.unwrap(), b"Ada");
    assert_eq!(begin(&tier, "p:user:2", 2).await, Begun::Miss);
    assert!(in_time(tier.invalidate(NODE, &[Selector::Key("p:user:1").into()])).await.is_err());
    for file in fs::read_dir(home.directory.path()).unwrap() {
        fs::set_permissions(file.unwrap().path(), fs::Permissions::from_mode(0o600)).unwrap();
    }
    home.clock.advance(SECOND);
    all_work(&tier).await;
}

/// Puts rows, a second apart, until there is no more room; gives how many.
async fn fill_up(home: &Home, tier: &SqliteTier) -> u64 {
    for stored in 0..1000 {
        let key = format!("p:user:{stored}");
        if in_time(put_all(tier, &[fill(&key, 0, &[7; 3000])])).await.is_err() {
            return stored;
        }
        home.clock.advance(SECOND);
    }
    panic!("the file has no limit")
}

#[tokio::test]
async fn a_full_file_refuses_a_value_and_has_room_for_the_next() {
    let home = Home::new();
    let tier = home.options().max_bytes(256 * 1024).open().await.unwrap();
    let stored = fill_up(&home, &tier).await;
    assert!((20..100).contains(&stored), "{stored} rows");
    assert!(fs::metadata(home.path()).unwrap().len() <= 256 * 1024);
    // Others can be told of what is wrong, whether or not it is there.
    for key in ["p:user:none", "p:user:1"] {
        tier.invalidate(NODE, &[Selector::Key(key).into()]).await.unwrap();
    }
    assert!(tier.size().await.unwrap().bytes <= 256 * 1024 * 9 / 10 + 8192);
    home.clock.advance(SECOND);
    all_work(&tier).await;
    put(&tier, "p:user:none", &[7; 3000]).await;
    let last = format!("p:user:{}", stored - 1);
    assert_eq!(value(&tier, "p:user:0").await, None, "what ends soonest goes first");
    assert!(value(&tier, &last).await.is_some(), "what ends last stays");
}

#[tokio::test]
async fn what_ends_soonest_is_evicted_and_no_more_of_it_than_it_may() {
    let home = Home::new();
    let tier = home.options().max_bytes(256 * 1024).open().await.unwrap();
    // Three values more than there may be without a sweep.
    let mut nth = 0;
    while tier.size().await.unwrap().bytes < 256 * 1024 * 9 / 10 + 3 * 4096 {
        put(&tier, &format!("p:user:{nth}"), &[7; 3000]).await;
        home.clock.advance(SECOND);
        nth += 1;
    }
    let before = tier.size().await.unwrap().entries;
    let swept = tier.sweep(2).await.unwrap();
    assert_eq!((swept.expired, swept.evicted, swept.has_more), (0, 2, true));
    assert_eq!(tier.size().await.unwrap().entries, before - 2);
    for (key, is_there) in [("p:user:0", false), ("p:user:1", false), ("p:user:2", true)] {
        assert_eq!(value(&tier, key).await.is_some(), is_there, "{key}");
    }
}

#[tokio::test]
async fn there_is_no_more_to_evict_where_others_take_the_room() {
    let home = Home::new();
    let mut other = home.other().await;
    query("create table application (value blob)").execute(&mut other).await.unwrap();
    let insert = query("insert into application values (zeroblob(258000))");
    insert.execute(&mut other).await.unwrap();
    let tier = home.options().max_bytes(352 * 1024).open().await.unwrap();
    put(&tier, "p:user:1", b"Ada").await;
    let swept = tier.sweep(10).await.unwrap();
    assert_eq!((swept.evicted, swept.has_more), (1, true));
    let swept = tier.sweep(10).await.unwrap();
    assert_eq!((swept.evicted, swept.has_more), (0, false));
}

#[tokio::test]
async fn permits_that_have_ended_are_swept_too() {
    let home = Home::new();
    let tier = home.open().await;
    for (nth, key) in ["p:user:1", "p:user:2", "p:user:3"].into_iter().enumerate() {
        assert_eq!(begin(&tier, key, nth as u64).await, Begun::Permit);
    }
    put(&tier, "p:team:1", b"A").await;
    put(&tier, "p:team:2", b"B").await;
    home.clock.advance(3 * HOUR);
    let mut expired = Vec::new();
    for _ in 0..3 {
        expired.push(tier.sweep(2).await.unwrap().expired);
    }
    assert_eq!(expired, [2, 2, 1]);
    let left: i64 = query_scalar("select count(*) from forewarm_permit")
        .fetch_one(&mut home.other().await)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn every_change_is_counted_once() {
    let home = Home::new();
    let tier = home.open().await;
    let keys = [Selector::Key("p:user:1"), Selector::Key("p:user:2")];
    let resource = [Selector::Resource("p:user"), Selector::Key("p:team:1")];
    tier.invalidate(NODE, &keys.map(Into::into)).await.unwrap();
    tier.invalidate(NODE, &resource.map(Into::into)).await.unwrap();
    put(&tier, "p:user:1", b"Ada").await;
    tier.expire(NODE, &["p:user:1"]).await.unwrap();
    let sequence: i64 = query_scalar("select sequence from forewarm_meta")
        .fetch_one(&mut home.other().await)
        .await
        .unwrap();
    assert_eq!(sequence, 6);
}

/// Brings everything from the log into the file.
async fn checkpoint(home: &Home) {
    let mut other = home.other().await;
    query("pragma wal_checkpoint(truncate)").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
}

#[tokio::test]
async fn damaged_pages_are_an_error_until_they_are_mended() {
    type Mend = fn(&Home, &[u8]);
    let mends: [(Mend, bool); 2] = [
        (|home, sound| fs::write(home.path(), sound).unwrap(), true),
        // Another file is used, and what it holds is not.
        (
            |home, sound| {
                fs::write(home.file("copy.db"), sound).unwrap();
                fs::rename(home.file("copy.db"), home.path()).unwrap();
            },
            false,
        ),
    ];
    for (mend, are_hits) in mends {
        let home = Home::new();
        let tier = home.open().await;
        let keys: Vec<_> = (0..5000).map(|nth| format!("p:user:{nth}")).collect();
        let puts: Vec<_> = keys.iter().map(|key| fill(key, 0, &[7; 1000])).collect();
        put_all(&tier, &puts).await.unwrap();
        checkpoint(&home).await;
        let sound = fs::read(home.path()).unwrap();
        let mut damaged = sound.clone();
        damaged[4096..].fill(0xaa);

        fs::write(home.path(), &damaged).unwrap();
        let asks: Vec<_> = keys.iter().map(|key| wanting(key, 0)).collect();
        for _ in 0..3 {
            assert!(in_time(tier.begin(&asks, HOUR)).await.is_err());
            home.clock.advance(SECOND);
        }

        mend(&home, &sound);
        let mut begun = in_time(tier.begin(&asks, HOUR)).await;
        for _ in 0..100 {
            if begun.is_ok() {
                break;
            }
            home.clock.advance(SECOND);
            yield_now().await;
            begun = in_time(tier.begin(&asks, HOUR)).await;
        }
        assert!(begun.unwrap().iter().all(|begun| matches!(begun, Begun::Hit(_)) == are_hits));
        all_work(&tier).await;
    }
}

#[tokio::test]
async fn a_file_that_is_deleted_while_open_is_made_anew() {
    let home = Home::new();
    let tier = home.open().await;
    put(&tier, "p:user:1", b"Ada").await;
    fs::remove_file(home.path()).unwrap();
    assert_eq!(begin(&tier, "p:user:1", 1).await, Begun::Permit);
    assert_eq!(tier.fill(&[fill("p:user:1", 1, b"Bob")]).await.unwrap(), [Filled::Stored]);
    assert_eq!(fs::metadata(home.path()).unwrap().permissions().mode() & 0o777, 0o600);
    tier.close().await;
    assert_eq!(value(&home.open().await, "p:user:1").await.unwrap(), b"Bob");
}

#[tokio::test]
async fn a_file_that_took_the_name_of_the_open_one_is_used_instead() {
    let home = Home::new();
    let path = home.file("other.db");
    let other = SqliteOptions::new(&path).clock(home.clock.clone()).open().await.unwrap();
    put(&other, "p:user:1", b"other").await;
    other.close().await;
    let tier = home.open().await;
    put(&tier, "p:user:1", b"first").await;
    fs::rename(&path, home.path()).unwrap();
    // What it holds may be older than what has been invalidated here.
    assert_eq!(begin(&tier, "p:user:1", 1).await, Begun::Permit);
    assert_eq!(tier.fill(&[fill("p:user:1", 1, b"new")]).await.unwrap(), [Filled::Stored]);
    tier.close().await;
    assert_eq!(value(&home.open().await, "p:user:1").await.unwrap(), b"new");
}

#[tokio::test]
async fn a_directory_that_is_gone_is_an_error_until_it_is_back() {
    let home = Home::new();
    fs::create_dir(home.file("data")).unwrap();
    let path = home.file("data/cache.db");
    let tier = SqliteOptions::new(path).clock(home.clock.clone()).open().await.unwrap();
    fs::rename(home.file("data"), home.file("aside")).unwrap();
    home.clock.advance(SECOND);
    assert!(in_time(tier.sweep(1)).await.is_err());
    all_fail(&tier).await;
    fs::rename(home.file("aside"), home.file("data")).unwrap();
    home.clock.advance(SECOND);
    all_work(&tier).await;
}

#[tokio::test]
async fn what_was_acknowledged_is_in_the_file_after_a_close() {
    let home = Home::new();
    let tier = home.open().await;
    put(&tier, "p:user:1", b"Ada").await;
    // Another one that uses the file must not keep it from getting there.
    let mut other = home.other().await;
    let _: i64 =
        query_scalar("select count(*) from forewarm_entry").fetch_one(&mut other).await.unwrap();
    tier.close().await;
    fs::copy(home.path(), home.file("copy.db")).unwrap();
    let copy = SqliteOptions::new(home.file("copy.db")).clock(home.clock.clone());
    assert_eq!(value(&copy.open().await.unwrap(), "p:user:1").await.unwrap(), b"Ada");
}

#[tokio::test]
async fn engines_with_different_prefixes_do_not_touch_each_other() {
    let home = Home::new();
    let tier = home.open().await;
    for key in ["shop:user:1", "shop2:user:1", "sho:user:1", "blog:user:1"] {
        put(&tier, key, key.as_bytes()).await;
    }
    tier.invalidate(NODE, &[Selector::Resource("shop:user").into()]).await.unwrap();
    assert_eq!(value(&tier, "shop:user:1").await, None);
    for key in ["shop2:user:1", "sho:user:1", "blog:user:1"] {
        assert_eq!(value(&tier, key).await.unwrap(), key.as_bytes());
    }
}

#[tokio::test]
async fn statements_within_keys_are_text() {
    let home = Home::new();
    let tier = home.open().await;
    put(&tier, "p:user:1", b"Ada").await;
    let keys = [
        "p:user:'; drop table forewarm_entry; --",
        "p:user:\"]') or 1 = 1; --",
        "p:user:1' or '1' = '1",
        "p:user:\",0,1],[\"p:user:1",
        "p:user:?1",
        "p:'user' or 1:1",
    ];
    for (nth, key) in keys.iter().enumerate() {
        let permit = nth as u64 + 1;
        assert_eq!(begin(&tier, key, permit).await, Begun::Permit, "{key}");
        assert_eq!(tier.fill(&[fill(key, permit, b"x")]).await.unwrap(), [Filled::Stored]);
        tier.expire(NODE, &[key]).await.unwrap();
        tier.invalidate(NODE, &[Selector::Resource(key).into()]).await.unwrap();
        tier.invalidate(NODE, &[Selector::Key(key).into()]).await.unwrap();
    }
    assert_eq!(value(&tier, "p:user:1").await.unwrap(), b"Ada");
    assert_eq!(tier.size().await.unwrap().entries, 1);
}

#[tokio::test]
async fn keys_with_a_nul_are_not_taken_for_others() {
    let home = Home::new();
    let tier = home.open().await;
    put(&tier, "p:user:1", b"Ada").await;
    let nul = "p:user:1\0x";
    let asks = [wanting(nul, 1), wanting("p:user:1", 2), wanting("p:user:2", 3)];
    let begun = tier.begin(&asks, HOUR).await.unwrap();
    assert!(matches!(&begun[..], [Begun::Miss, Begun::Hit(_), Begun::Permit]), "{begun:?}");
    let fills = [fill(nul, 1, b"x"), fill("p:user:2", 3, b"Bob")];
    assert_eq!(tier.fill(&fills).await.unwrap(), [Filled::Refused, Filled::Stored]);
    tier.put(NODE, &fills[..1], &Cursor::default()).await.unwrap();
    tier.invalidate(NODE, &[Selector::Key(nul).into(), Selector::Resource("p:user\0").into()])
        .await
        .unwrap();
    tier.expire(NODE, &[nul]).await.unwrap();
    let Begun::Hit(stored) = begin(&tier, "p:user:1", 0).await else { panic!("no hit") };
    assert_eq!((&*stored.value, stored.fresh_for.is_zero()), (&b"Ada"[..], false));
}

#[tokio::test]
async fn two_tiers_on_one_file_give_one_permit() {
    let home = Home::new();
    let (one, two) = (home.open().await, home.open().await);
    assert_eq!(begin(&one, "p:user:1", 1).await, Begun::Permit);
    assert_eq!(begin(&two, "p:user:1", 2).await, Begun::Busy);
    assert_eq!(one.fill(&[fill("p:user:1", 1, b"Ada")]).await.unwrap(), [Filled::Stored]);
    assert_eq!(value(&two, "p:user:1").await.unwrap(), b"Ada");

    for selector in [Selector::Key("p:user:2"), Selector::Resource("p:user")] {
        assert_eq!(begin(&one, "p:user:2", 3).await, Begun::Permit);
        two.invalidate(NODE, &[selector.into()]).await.unwrap();
        assert_eq!(one.fill(&[fill("p:user:2", 3, b"old")]).await.unwrap(), [Filled::Refused]);
        two.invalidate(NODE, &[Selector::Key("p:user:2").into()]).await.unwrap();
    }
    assert_eq!(value(&one, "p:user:1").await, None);
}

#[tokio::test]
async fn tiers_that_open_a_new_file_at_once_all_work() {
    let home = Home::new();
    let tiers = futures_util::future::join_all((0..4).map(|_| home.open())).await;
    home.clock.advance(SECOND);
    for tier in &tiers {
        all_work(tier).await;
    }
}

/// The tables, and which migrations have been run.
async fn schema(home: &Home) -> Vec<String> {
    let sql = "
        select sql from sqlite_schema where sql is not null
        union all select version || hex(checksum) || installed_on from _forewarm_migrations";
    query_scalar(sql).fetch_all(&mut home.other().await).await.unwrap()
}

#[tokio::test]
async fn opening_again_changes_no_table() {
    let home = Home::new();
    home.open().await.close().await;
    let first = schema(&home).await;
    home.open().await.close().await;
    assert_eq!(schema(&home).await, first);
    let sloppy: Vec<String> = query_scalar(
        "select name from pragma_table_list
        where name like 'forewarm_%' and type = 'table' and not strict",
    )
    .fetch_all(&mut home.other().await)
    .await
    .unwrap();
    assert_eq!(sloppy, Vec::<String>::new());
}

#[tokio::test]
async fn an_application_keeps_its_own_tables_and_migrations_in_the_same_file() {
    let home = Home::new();
    let sql = "create table user (id integer primary key not null, name text not null) strict";
    let migration =
        Migration::new(1, "user".into(), MigrationType::Simple, SqlStr::from_static(sql), false);
    let migrator = Migrator::with_migrations(vec![migration]);
    let mut application = home.other().await;
    migrator.run(&mut application).await.unwrap();
    query("insert into user values (1, 'Ada')").execute(&mut application).await.unwrap();

    let tier = home.open().await;
    put(&tier, "p:user:1", b"Ada").await;
    all_work(&tier).await;
    tier.close().await;

    migrator.run(&mut application).await.unwrap();
    let name: String =
        query_scalar("select name from user").fetch_one(&mut application).await.unwrap();
    assert_eq!(name, "Ada");
    assert_eq!(value(&home.open().await, "p:user:1").await.unwrap(), b"Ada");
}

#[tokio::test]
async fn what_a_clock_that_was_ahead_has_left_behind_is_no_hindrance() {
    let home = Home::new();
    // It goes on, so that its permits do not end with it.
    let ahead = home.open().await;
    put(&ahead, "p:user:1", b"future").await;
    assert_eq!(begin(&ahead, "p:user:2", 1).await, Begun::Permit);
    let set_back = |by| {
        let wall = home.clock.steady_wall() - by;
        home.options().clock(Clock::starting_at(wall))
    };
    let tier = set_back(SignedDuration::from_secs(3)).open().await.unwrap();
    assert_eq!(value(&tier, "p:user:1").await.unwrap(), b"future");
    assert_eq!(begin(&tier, "p:user:2", 2).await, Begun::Busy);
    tier.close().await;
    let tier = set_back(SignedDuration::from_hours(24)).open().await.unwrap();
    assert_eq!(begin(&tier, "p:user:1", 3).await, Begun::Permit);
    assert_eq!(begin(&tier, "p:user:2", 4).await, Begun::Permit);
    assert_eq!(tier.fill(&[fill("p:user:2", 1, b"old")]).await.unwrap(), [Filled::Refused]);
    assert_eq!(tier.fill(&[fill("p:user:2", 4, b"new")]).await.unwrap(), [Filled::Stored]);
}

/// What has been logged.
#[tokio::test]
async fn a_fault_is_warned_of_once_a_minute_and_without_any_values() {
    let home = Home::new();
    // Of the whole process, since others log from threads of their own.
    let (log, secrets) = (Watch::of(home.path().display().to_string()), Watch::of("SECRET"));
    let lines = |word: &str| log.lines().iter().filter(|line| line.contains(word)).count();

    fs::write(home.path(), "This is no database.\n".repeat(1000)).unwrap();
    let tier = home.open().await;
    for warnings in [1, 2] {
        for _ in 0..20 {
            drop(put_all(&tier, &[fill("p:user:SECRET", 0, b"SECRET")]).await);
            all_fail(&tier).await;
            home.clock.advance(SECOND);
        }
        assert_eq!(lines("WARN"), warnings);
        assert_eq!(lines("move the file away"), warnings);
        home.clock.advance(41 * SECOND);
    }
    fs::remove_file(home.path()).unwrap();
    put(&tier, "p:user:SECRET", b"SECRET").await;
    assert_eq!(value(&tier, "p:user:SECRET").await.unwrap(), b"SECRET");
    put(&tier, "p:user:SECRET", b"SECRET").await;
    assert_eq!((lines("WARN"), lines("can be used again")), (2, 1));
    assert_eq!(secrets.lines(), Vec::<String>::new());
    assert!(!format!("{tier:?}").contains("SECRET"));
}

#[test]
fn a_tier_may_outlive_its_runtime() {
    let home = Home::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tier = runtime.block_on(async {
        let tier = home.open().await;
        put(&tier, "p:user:1", b"Ada").await;
        assert!(value(&tier, "p:user:1").await.is_some());
        tier
    });
    drop(runtime);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        assert!(in_time(put_all(&tier, &[fill("p:user:1", 0, b"Bob")])).await.is_err());
        in_time(tier.close()).await;
    });
    drop(runtime);
    drop(tier);
}

#[test]
fn a_tier_that_is_not_closed_is_dropped_anywhere() {
    let home = Home::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tier = runtime.block_on(async {
        let tier = home.open().await;
        put(&tier, "p:user:1", b"Ada").await;
        tier
    });
    drop(tier);
    let value = runtime.block_on(async { value(&home.open().await, "p:user:1").await });
    assert_eq!(value.unwrap(), b"Ada");
}
