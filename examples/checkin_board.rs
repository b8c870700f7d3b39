//! A board of check-ins: six kinds of things over one database, each with its own life and rate, and
//! everything of a project invalidated at once.
//!
//! ```sh
//! cargo run --features sqlite --example checkin_board
//! ```
#![expect(clippy::print_stdout, reason = "this program shows something")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use forewarm::{
    Clock, Fences, Forewarm, LoadError, Policy, PreloadMode, PreloadPolicy, ReadFrom, ReadOptions,
    Resource, SqlLoader, SqliteOptions, Store,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;

/// The settings, as they stand in a file. A ttl is twice the interval, so that one failed renewal
/// leaves no gap; `ends_at_midnight` makes what belongs to a day end with it. `refresh_every` renews
/// what is read, and lets the rest expire.
const POLICIES: &str = r#"{
    "projects": { "ttl": "2h", "refresh_every": "1h" },
    "info": { "ttl": "2h", "refresh_every": "1h" },
    "stats": { "ttl": "1h", "refresh_every": "30m" },
    "daily_stats": { "ttl": "30m", "refresh_every": "15m", "ends_at_midnight": "Asia/Shanghai" },
    "leaderboard": { "ttl": "1h", "refresh_every": "30m" },
    "topics": { "ttl": "10m", "refresh_every": "5m" }
}"#;

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Stats {
    total_members: i64,
    total_checkins: i64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Rank {
    rank: i64,
    name: String,
    days: i64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Topic {
    topic_id: i64,
    title: String,
}

/// The kinds of things, by the names of their resources.
struct Board {
    forewarm: Forewarm,
    database: SqlitePool,
    projects: Resource<String, Vec<String>>,
    info: Resource<i64, String>,
    stats: Resource<i64, Stats>,
    daily_stats: Resource<i64, i64>,
    /// By project and kind, such as `42:streak`: every parameter is a part of the key.
    leaderboard: Resource<String, Vec<Rank>>,
    topics: Resource<i64, Vec<Topic>>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let database = database(&folder.path().join("board.db")).await?;
    // A minute before midnight in Shanghai.
    let clock = Clock::starting_at("2026-03-10T15:59:00Z".parse()?);
    let board = Board::open(&folder.path().join("cache.db"), database, clock.clone()).await?;

    for policy in [board.projects.policy(), board.topics.policy()] {
        println!("ttl {:?}, renewed every {:?}", policy.ttl, policy.refresh_every);
    }
    println!("first page: {}", board.sources(42).await?);
    println!("next page:  {}", board.sources(42).await?);
    let ranks = board.leaderboard.get("42:streak").await?.unwrap_or_default();
    let topics = board.topics.get(&42).await?.unwrap_or_default();
    println!("kept: {} ranks of 150, {} topics of 30", ranks.len(), topics.len());

    board.check_in(42).await?;
    println!("after a check-in: {}", board.sources(42).await?);
    println!("another project:  {}", board.sources(7).await?);

    let before = board.daily_stats.get(&42).await?;
    clock.advance(Duration::from_secs(61));
    let (read, stats) =
        (board.from(&board.daily_stats, &42).await?, board.from(&board.stats, &42).await?);
    println!("after midnight: the day's figures from {read:?}, the others from {stats:?}");
    println!("check-ins of the day: {before:?}, then {:?}", board.daily_stats.get(&42).await?);

    // A call of the API wants what is there now, and leaves the cache as it is.
    let live = board.stats.read(&42, &ReadOptions::new().bypass()).await?;
    println!("an API call is answered by {:?}", live.from);
    board.forewarm.shutdown(Duration::from_secs(5)).await;

    // The same with the cache switched off: everything still works.
    let database = board.database.clone();
    let off =
        Board::open_with(&folder.path().join("cache.db"), database, clock, Store::Nowhere).await?;
    println!("without a cache: {}", off.sources(42).await?);
    off.forewarm.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

impl Board {
    async fn open(
        cache: &std::path::Path,
        database: SqlitePool,
        clock: Clock,
    ) -> Result<Self, Box<dyn Error>> {
        Self::open_with(cache, database, clock, Store::Both).await
    }

    async fn open_with(
        cache: &std::path::Path,
        database: SqlitePool,
        clock: Clock,
        store: Store,
    ) -> Result<Self, Box<dyn Error>> {
        let mut policies: BTreeMap<String, Policy> = serde_json::from_str(POLICIES)?;
        // Predictions are left out, so that this program prints the same each time.
        let preload = PreloadPolicy { mode: PreloadMode::Off, ..PreloadPolicy::default() };
        let mut policy = |name: &str| {
            let preload = preload.clone();
            Policy { store, preload, ..policies.remove(name).unwrap_or_default() }
        };
        let tier = SqliteOptions::new(cache).clock(clock.clone()).open().await?;
        // Instances that share a store are kept apart by their prefixes.
        let forewarm =
            Forewarm::builder().prefix("zsxq").clock(clock.clone()).tier(tier).build().await?;
        let pool = || database.clone();

        let projects = forewarm.resource("projects").policy(policy("projects"));
        let titles = SqlLoader::new(pool(), "select title from project where scope = $1 limit $2");
        let projects =
            projects.loader(titles.map(|(title,): (String,)| title).list(1_000)).build()?;
        let info = forewarm.resource("info").policy(policy("info"));
        let title = SqlLoader::new(pool(), "select title from project where id = $1");
        let info = info.loader(title.map(|(title,): (String,)| title)).build()?;

        let stats = forewarm.resource("stats").policy(policy("stats"));
        let figures = "select count(distinct member), count(*) from checkin where project = $1";
        let figures = SqlLoader::new(pool(), figures)
            .map(|(total_members, total_checkins)| Stats { total_members, total_checkins });
        let stats = stats.loader(figures).build()?;

        let daily_stats = forewarm.resource("daily_stats").policy(policy("daily_stats"));
        let today = "select count(*) from checkin where project = $1 and day = $2";
        let today = SqlLoader::binding(pool(), today, move |query, project: &i64| {
            query.bind(*project).bind(day(clock.wall()))
        });
        let daily_stats = daily_stats.loader(today.map(|(count,): (i64,)| count)).build()?;

        let leaderboard = forewarm.resource("leaderboard").policy(policy("leaderboard"));
        let leaderboard = leaderboard
            .trim(|mut ranks: Vec<Rank>| {
                ranks.truncate(100);
                ranks
            })
            .load_with({
                let pool = pool();
                move |key: String| ranks(pool.clone(), key)
            })
            .build()?;

        let topics = forewarm.resource("topics").policy(policy("topics"));
        let newest = "select id, title from topic where project = $1 order by id desc limit $2";
        let newest =
            SqlLoader::new(pool(), newest).map(|(topic_id, title)| Topic { topic_id, title });
        let topics = topics.loader(newest.list(20)).build()?;
        forewarm.start().await?;
        Ok(Self { forewarm, database, projects, info, stats, daily_stats, leaderboard, topics })
    }

    /// Reads everything that the page of a project shows, and tells who answered.
    async fn sources(&self, project: i64) -> Result<String, forewarm::Error> {
        let from = [
            self.from(&self.projects, "all").await?,
            self.from(&self.info, &project).await?,
            self.from(&self.stats, &project).await?,
            self.from(&self.daily_stats, &project).await?,
            self.from(&self.leaderboard, format!("{project}:streak").as_str()).await?,
            self.from(&self.topics, &project).await?,
        ];
        Ok(from.map(|from| format!("{from:?}")).join(" "))
    }

    async fn from<K, Q, V>(
        &self,
        resource: &Resource<K, V>,
        key: &Q,
    ) -> Result<ReadFrom, forewarm::Error>
    where
        K: forewarm::Key + std::borrow::Borrow<Q>,
        V: Send + Sync + 'static,
        Q: Eq + std::hash::Hash + Sync + ToOwned<Owned = K> + ?Sized,
    {
        Ok(resource.read(key, &ReadOptions::new()).await?.from)
    }

    /// Somebody checks in: everything of that project changes with the commit, and nothing else.
    async fn check_in(&self, project: i64) -> Result<(), Box<dyn Error>> {
        let mut transaction = self.database.begin().await?;
        sqlx::query("insert into checkin (project, member, day) values ($1, 1000, '2026-03-10')")
            .bind(project)
            .execute(&mut *transaction)
            .await?;
        let of_project = Fences::new()
            .key(&self.info, &project)
            .key(&self.stats, &project)
            .key(&self.daily_stats, &project)
            .matching(&self.leaderboard, &format!("{project}:*"))?
            .key(&self.topics, &project);
        let _applied_or_queued = of_project.commit(transaction).await?;
        Ok(())
    }
}

/// The ranks of a key such as `42:streak`.
async fn ranks(database: SqlitePool, key: String) -> Result<Option<Vec<Rank>>, LoadError> {
    let Some((project, "streak")) = key.split_once(':') else { return Ok(None) };
    let Ok(project) = project.parse::<i64>() else { return Ok(None) };
    let ranks = "select row_number() over (order by count(*) desc, member), member, count(*)
        from checkin where project = $1 group by member order by 1";
    let rows: Vec<(i64, i64, i64)> =
        sqlx::query_as(ranks).bind(project).fetch_all(&database).await?;
    let rank = |(rank, member, days)| Rank { rank, name: format!("member {member}"), days };
    Ok(Some(rows.into_iter().map(rank).collect()))
}

/// The day of an instant, where the members live.
fn day(instant: Timestamp) -> String {
    instant.in_tz("Asia/Shanghai").map(|zoned| zoned.date().to_string()).unwrap_or_default()
}

async fn database(path: &std::path::Path) -> Result<SqlitePool, sqlx::Error> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await?;
    let tables = "
        create table project (id integer primary key, scope text not null, title text not null);
        create table checkin (project integer not null, member integer not null, day text not null);
        create table topic (id integer primary key, project integer not null, title text not null);
        insert into project values (7, 'all', 'Running'), (42, 'all', 'Reading');
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 150)
        insert into checkin select 42, i, '2026-03-10' from n;
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 30)
        insert into topic select i, 42, 'topic ' || i from n;
    ";
    sqlx::raw_sql(tables).execute(&pool).await?;
    Ok(pool)
}
