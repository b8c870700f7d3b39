//! A repository of users: read by id and by e-mail, changed in transactions, and how many queries
//! that costs.
//!
//! ```sh
//! cargo run --features sqlite --example user_repository
//! ```
#![expect(clippy::print_stdout, reason = "this program shows something")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use forewarm::{Alias, Delivery, Fences, Forewarm, ReadOptions, Resource, SqlLoader, SqliteTier};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow};
use sqlx::{FromRow, Row as _};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is known of a user: a value of its own, which holds no connection and no secret.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct User {
    id: i64,
    email: String,
    username: Option<String>,
    role: Role,
    is_active: bool,
    quota: Option<Cents>,
    used: Cents,
    created_at: Timestamp,
    last_login_at: Option<Timestamp>,
    model_capability_settings: BTreeMap<String, bool>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Role {
    Admin,
    Member,
}

/// Money is counted, not measured.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Cents(i64);

/// The only place that knows how a user is stored. Where names and types are those of the columns,
/// `#[derive(sqlx::FromRow)]` writes it.
impl FromRow<'_, SqliteRow> for User {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let settings: &str = row.try_get("model_capability_settings")?;
        let last_login_at: Option<i64> = row.try_get("last_login_at")?;
        Ok(Self {
            id: row.try_get("id")?,
            email: row.try_get("email")?,
            username: row.try_get("username")?,
            role: row.try_get::<&str, _>("role")?.parse().map_err(decode)?,
            is_active: row.try_get("is_active")?,
            quota: row.try_get::<Option<i64>, _>("quota_cents")?.map(Cents),
            used: Cents(row.try_get("used_cents")?),
            created_at: timestamp(row.try_get("created_at")?)?,
            last_login_at: last_login_at.map(timestamp).transpose()?,
            model_capability_settings: serde_json::from_str(settings).map_err(decode)?,
        })
    }
}

fn timestamp(seconds: i64) -> sqlx::Result<Timestamp> {
    Timestamp::from_second(seconds).map_err(decode)
}

fn decode(error: impl Into<Box<dyn Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "admin" => Ok(Self::Admin),
            "member" => Ok(Self::Member),
            _ => Err("no such role"),
        }
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}.{:02}", self.0 / 100, self.0 % 100)
    }
}

const SCHEMA: &str = "
    create table user (
        id integer primary key,
        email text not null collate nocase unique,
        username text,
        role text not null,
        is_active integer not null,
        quota_cents integer,
        used_cents integer not null,
        created_at integer not null,
        last_login_at integer,
        model_capability_settings text not null
    ) strict;
    insert into user values
        (1, 'ada@example.com', 'ada', 'admin', 1, 5000, 150, 1700000000, null, '{\"vision\":true}'),
        (2, 'grace@example.com', null, 'member', 1, null, 0, 1700000000, 1700000060, '{}');
";

const BY_ID: &str = "select * from user where id = $1";
const BY_IDS: &str = "select * from user where id in (select value from json_each($1))";
const ID_OF_EMAIL: &str = "select id from user where email = $1";

/// The users of an application.
#[derive(Clone)]
struct Users {
    pool: SqlitePool,
    users: Resource<i64, User>,
}

impl Users {
    fn new(forewarm: &Forewarm, pool: SqlitePool) -> Result<Self, forewarm::Error> {
        let of_email = pool.clone();
        let email = Alias::new(
            "email",
            |user: &User| Some(user.email.clone()),
            move |email| {
                let pool = of_email.clone();
                async move {
                    let id = sqlx::query_scalar(ID_OF_EMAIL).bind(email);
                    Ok(id.fetch_optional(&pool).await?)
                }
            },
        );
        let users = forewarm
            .resource::<i64, User>("user")
            .ttl(Duration::from_mins(30))
            .alias(email.normalized_by(|email| email.trim().to_lowercase()))
            .loader(SqlLoader::new(pool.clone(), BY_ID).query_many(BY_IDS, "id"))
            .build()?;
        Ok(Self { pool, users })
    }

    async fn by_id(&self, id: i64) -> Result<Option<Arc<User>>, forewarm::Error> {
        self.users.get(&id).await
    }

    async fn by_email(&self, email: &str) -> Result<Option<Arc<User>>, forewarm::Error> {
        self.users.get_by("email", email).await
    }

    /// Whether a user may do what only admins do: that is not to be answered from long ago.
    async fn is_admin(&self, id: i64) -> Result<bool, forewarm::Error> {
        let lately = ReadOptions::new().max_age(Duration::from_secs(5));
        let user = self.users.read(&id, &lately).await?.value;
        Ok(user.is_some_and(|user| user.is_active && user.role == Role::Admin))
    }

    /// Adds to what a user has spent; gives whether it is within the quota. If it is not, nothing is
    /// spent.
    async fn spend(&self, id: i64, cents: Cents) -> Result<bool, Box<dyn Error>> {
        let mut transaction = self.pool.begin().await?;
        let spend = "update user set used_cents = used_cents + $2 where id = $1
            returning used_cents <= coalesce(quota_cents, used_cents)";
        let spend = sqlx::query_scalar(spend).bind(id).bind(cents.0);
        let is_within: bool = spend.fetch_one(&mut *transaction).await?;
        if !is_within {
            // The cache is not told, since nothing has changed.
            transaction.rollback().await?;
            return Ok(false);
        }
        let _applied_or_queued = Fences::new().key(&self.users, &id).commit(transaction).await?;
        Ok(true)
    }

    /// Gives a user another address.
    async fn move_to(&self, id: i64, email: &str) -> Result<Delivery, Box<dyn Error>> {
        let mut transaction = self.pool.begin().await?;
        let change = sqlx::query("update user set email = $2 where id = $1").bind(id).bind(email);
        change.execute(&mut *transaction).await?;
        // That nobody had the new address may be remembered; where the old one led is found out.
        let fences = Fences::new().key(&self.users, &id).name(&self.users, "email", email)?;
        Ok(fences.commit(transaction).await?)
    }
}

/// Counts what sqlx says it asked the database.
#[derive(Clone, Default)]
struct Queries(Arc<AtomicU64>);

impl<S: tracing::Subscriber> Layer<S> for Queries {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        struct IsSelect(bool);
        impl tracing::field::Visit for IsSelect {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                self.0 |= field.name() == "summary" && format!("{value:?}").contains("select");
            }
        }
        let mut is_select = IsSelect(false);
        event.record(&mut is_select);
        if event.metadata().target() == "sqlx::query" && is_select.0 {
            self.0.fetch_add(1, Relaxed);
        }
    }
}

impl Queries {
    /// The queries since the last time.
    fn take(&self) -> u64 {
        self.0.swap(0, Relaxed)
    }
}

const READS: u64 = 1_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let queries = Queries::default();
    tracing_subscriber::registry().with(queries.clone()).init();
    let folder = tempfile::tempdir()?;
    let file = SqliteConnectOptions::new().filename(folder.path().join("app.db"));
    let pool = SqlitePoolOptions::new().connect_with(file.create_if_missing(true)).await?;
    sqlx::raw_sql(SCHEMA).execute(&pool).await?;

    let tier = SqliteTier::open(folder.path().join("forewarm.db")).await?;
    let forewarm = Forewarm::builder().prefix("app").tier(tier).build().await?;
    let users = Users::new(&forewarm, pool.clone())?;
    forewarm.start().await?;
    forewarm.settled().await;
    queries.take();

    show_reads(&forewarm, &users, &queries).await?;
    show_changes(&users, &queries).await?;
    forewarm.shutdown(Duration::from_secs(5)).await;
    pool.close().await;
    Ok(())
}

async fn show_reads(
    forewarm: &Forewarm,
    users: &Users,
    queries: &Queries,
) -> Result<(), Box<dyn Error>> {
    // All at once, so that most of them come while the first is still being answered.
    let reads = (0..READS).map(|_| users.by_id(1));
    let read = futures_util::future::try_join_all(reads).await?;
    let first = read.first().cloned().flatten().ok_or("ada is there")?;
    println!("{READS} reads of {} by id: {} query", first.email, queries.take());
    forewarm.settled().await;

    for _ in 0..READS {
        let same = users.by_email(" ADA@example.com").await?.ok_or("ada has her address")?;
        assert!(Arc::ptr_eq(&first, &same), "it is held once");
    }
    println!("{READS} reads of the same by e-mail: {} queries", queries.take());

    for _ in 0..READS {
        assert_eq!(users.by_id(404).await?, None);
    }
    println!("{READS} reads of nobody by id: {} query", queries.take());
    for _ in 0..READS {
        assert_eq!(users.by_email("nobody@example.com").await?, None);
    }
    println!("{READS} reads of nobody by e-mail: {} query", queries.take());
    Ok(())
}

async fn show_changes(users: &Users, queries: &Queries) -> Result<(), Box<dyn Error>> {
    let used = async || Ok::<_, Box<dyn Error>>(users.by_id(1).await?.ok_or("ada")?.used);
    let before = used().await?;
    queries.take();
    let is_spent = users.spend(1, Cents(125)).await?;
    println!("committed {is_spent}: {before} -> {}, {} query", used().await?, queries.take());
    let is_spent = users.spend(1, Cents(9_999)).await?;
    println!("committed {is_spent}: still {}, {} queries", used().await?, queries.take());

    let id_of = async |email| {
        let user = users.by_email(email).await;
        user.map(|user| {
            user.map_or_else(|| "nobody".to_owned(), |user| format!("user {}", user.id))
        })
    };
    let [old, new] = ["ada@example.com", "lovelace@example.com"];
    println!("{old}: {}, {new}: {}", id_of(old).await?, id_of(new).await?);
    let _applied_or_queued = users.move_to(1, new).await?;
    println!("moved: {old}: {}, {new}: {}", id_of(old).await?, id_of(new).await?);
    println!("admin: {}, {}", users.is_admin(1).await?, users.is_admin(2).await?);
    Ok(())
}
