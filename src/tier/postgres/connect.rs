//! Making a connection: its settings, the tables, and which life of them this is.

use std::borrow::Cow;

use parking_lot::Mutex;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, query, query_as, query_scalar};

use super::fault::{ConnectError, Trouble};
use super::options::PostgresOptions;
use super::schema::Schema;
use super::turn::Clocks;

/// What is remembered of the last connection: by it a server is recognised whose data have gone
/// back to what they were before.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Option<Met>>);

#[derive(Clone, Copy, Debug)]
struct Met {
    /// When the life of the tables began, in microseconds on the server's clock; a later one begins
    /// later in any case.
    begun_at: i64,
    /// When the server was started.
    booted_at: i64,
}

/// Connects, and finds out which life of the tables this is before anything else is asked.
pub(super) async fn connect(
    options: &PostgresOptions,
    memory: &Memory,
    clocks: &Clocks,
) -> Result<PgConnection, ConnectError> {
    let mut db = options.connect.connect().await?;
    settle(&mut db, options).await?;
    let met = *memory.0.lock();
    let hello = Hello::new(&mut db, met).await?;
    let known = match hello.ask(&mut db, &options.schema).await {
        Err(error) if Trouble::of(&error) == Trouble::Schema => {
            prepare(&mut db, &options.schema).await?;
            hello.ask(&mut db, &options.schema).await?
        }
        known => known?,
    };
    if known.version > LATEST {
        return Err(ConnectError::Newer);
    }
    if known.version < LATEST {
        prepare(&mut db, &options.schema).await?;
    }
    let known = hello.make_known(&mut db, &options.schema, known).await?;
    if let Some(begun_at) = known.begun_at {
        let met = Met { begun_at, booted_at: known.booted_at };
        let mut memory = memory.0.lock();
        // Another connection may have met a later life meanwhile.
        if memory.is_none_or(|before| before.begun_at <= begun_at) {
            *memory = Some(met);
        }
    }
    clocks.shown(known.now);
    Ok(db)
}

/// Plans are made once, while the tables may be small, and kept: they are not to depend on that.
const SETTLE: &str = "
    select current_setting('server_encoding') = 'UTF8'
    from (
        select
            set_config('statement_timeout', $1, false),
            set_config('lock_timeout', $2, false),
            set_config('idle_in_transaction_session_timeout', '10000', false),
            set_config('default_transaction_isolation', 'read committed', false),
            set_config('plan_cache_mode', 'force_generic_plan', false),
            set_config('enable_seqscan', 'off', false),
            set_config('enable_hashjoin', 'off', false),
            set_config('enable_mergejoin', 'off', false),
            set_config('jit', 'off', false)
        offset 0
    ) as settled";

/// How long a row is waited for, in milliseconds: calls do not hold rows for longer than they take.
const LOCK_TIMEOUT: &str = "50";

async fn settle(db: &mut PgConnection, options: &PostgresOptions) -> Result<(), ConnectError> {
    if db.server_version_num().is_some_and(|version| version < 130_000) {
        return Err(ConnectError::Old);
    }
    let is_utf8: bool = query_scalar(SETTLE)
        .bind(options.statement_timeout.as_millis().to_string())
        .bind(LOCK_TIMEOUT)
        .fetch_one(db)
        .await?;
    if is_utf8 { Ok(()) } else { Err(ConnectError::Encoding) }
}

/// Asks whether the tables are what they were.
#[derive(Debug)]
struct Hello {
    /// What the server is called, as it was made; if it does not tell, as it was started.
    system: String,
    met: Option<Met>,
}

/// What is known of the tables.
#[derive(Clone, Copy, Debug)]
struct Known {
    version: i64,
    /// They are of this server and database, and what we remember of them is in them.
    is_ours: bool,
    /// That the server was started has been noted.
    is_noted: bool,
    begun_at: Option<i64>,
    booted_at: i64,
    now: i64,
}

const SYSTEM: &str = "select system_identifier::text from pg_control_system()";
const STARTED: &str = "select pg_postmaster_start_time()::text";

/// If a life is one that we do not know and that began later than the one we do, somebody else has
/// had a reason to begin it.
const HELLO: &str = "
    with boot as materialized (
        select (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint as at
    )
    select
        (select max(version) from forewarm._forewarm_migrations),
        coalesce(
            meta.identity = concat_ws(
                ' ',
                $1,
                (select oid from pg_database where datname = current_database()),
                'forewarm.meta'::regclass::oid
            )
            and case
                when $2 is null or meta.begun_at > $2 then true
                else meta.begun_at = $2
                    and exists (select 1 from forewarm.boot as met where met.at = $3)
            end,
            false
        ),
        exists (select 1 from forewarm.boot as noted where noted.at = boot.at),
        meta.begun_at,
        boot.at,
        (extract(epoch from clock_timestamp()) * 1000)::bigint
    from boot left join forewarm.meta as meta on true";

/// Others do the same at the same time, and a deadline stands anyway.
const BE_PATIENT: &str = "set local lock_timeout = 0";

const LOCK: &str = "lock table forewarm.meta in share row exclusive mode";

const NOTE_BOOT: &str = "insert into forewarm.boot (at) values ($1) on conflict do nothing";

impl Hello {
    async fn new(db: &mut PgConnection, met: Option<Met>) -> Result<Self, sqlx::Error> {
        let system = match query_scalar(SYSTEM).fetch_one(&mut *db).await {
            Err(error) if Trouble::of(&error) == Trouble::Rights => {
                query_scalar(STARTED).fetch_one(db).await?
            }
            system => system?,
        };
        Ok(Self { system, met })
    }

    async fn ask(&self, db: &mut PgConnection, schema: &Schema) -> Result<Known, sqlx::Error> {
        type Row = (Option<i64>, bool, bool, Option<i64>, i64, i64);
        let row: Row = query_as(schema.sql(HELLO))
            .bind(&self.system)
            .bind(self.met.map(|met| met.begun_at))
            .bind(self.met.map(|met| met.booted_at))
            .fetch_one(db)
            .await?;
        let (version, is_ours, is_noted, begun_at, booted_at, now) = row;
        let version = version.unwrap_or_default();
        Ok(Known { version, is_ours, is_noted, begun_at, booted_at, now })
    }

    /// Begins another life if this one cannot be trusted, and notes that the server was started.
    async fn make_known(
        &self,
        db: &mut PgConnection,
        schema: &Schema,
        known: Known,
    ) -> Result<Known, sqlx::Error> {
        if known.is_ours && known.is_noted {
            return Ok(known);
        }
        let mut transaction = db.begin().await?;
        query(BE_PATIENT).execute(&mut *transaction).await?;
        query(schema.sql(LOCK)).execute(&mut *transaction).await?;
        // Somebody may have been faster.
        if !self.ask(&mut transaction, schema).await?.is_ours {
            let after = self.met.map(|met| met.begun_at);
            begin(&mut transaction, schema, Some(&self.system), after).await?;
        }
        let boot = query(schema.sql(NOTE_BOOT)).bind(known.booted_at);
        boot.execute(&mut *transaction).await?;
        let known = self.ask(&mut transaction, schema).await?;
        transaction.commit().await?;
        Ok(known)
    }
}

/// Begins another life of the tables: what is in them counts no more.
pub(super) async fn begin_anew(db: &mut PgConnection, schema: &Schema) -> Result<(), sqlx::Error> {
    let mut transaction = db.begin().await?;
    query(BE_PATIENT).execute(&mut *transaction).await?;
    query(schema.sql(LOCK)).execute(&mut *transaction).await?;
    begin(&mut transaction, schema, None, None).await?;
    transaction.commit().await
}

/// The starts of the server are kept: those who remember one need not begin yet another life.
const EMPTY: &str = "
    truncate
        forewarm.entry, forewarm.change, forewarm.lag, forewarm.milestone, forewarm.hot";

const BEGIN: &str = "
    insert into forewarm.meta as meta (id, incarnation, begun_at, identity)
    select
        1,
        $1,
        greatest(
            (extract(epoch from clock_timestamp()) * 1000000)::bigint,
            coalesce($3, 0) + 1,
            coalesce((select begun_at from forewarm.meta), 0) + 1
        ),
        coalesce(
            concat_ws(
                ' ',
                $2,
                (select oid from pg_database where datname = current_database()),
                'forewarm.meta'::regclass::oid
            )
        )
    on conflict (id) do update
    set incarnation = excluded.incarnation,
        begun_at = excluded.begun_at,
        identity = case when $2 is null then meta.identity else excluded.identity end,
        cut = default,
        walk = null,
        walked_to = null";

async fn begin(
    db: &mut PgConnection,
    schema: &Schema,
    system: Option<&str>,
    after: Option<i64>,
) -> Result<(), sqlx::Error> {
    query(schema.sql(EMPTY)).execute(&mut *db).await?;
    query(schema.sql(BEGIN)).bind(fastrand::i64(..)).bind(system).bind(after).execute(db).await?;
    Ok(())
}

const IS_THERE: &str = "select exists (select 1 from pg_namespace where nspname = $1)";

/// One at a time in a database. The number stands for nothing else.
const LOCK_TABLES: &str = "select pg_advisory_xact_lock(7318349394477056)";

/// Brings the tables up to date, in one transaction, so that two processes that do so at once do
/// not meet half-way.
async fn prepare(db: &mut PgConnection, schema: &Schema) -> Result<(), ConnectError> {
    let mut transaction = db.begin().await?;
    query(BE_PATIENT).execute(&mut *transaction).await?;
    query(LOCK_TABLES).execute(&mut *transaction).await?;
    let is_there: bool =
        query_scalar(IS_THERE).bind(schema.name()).fetch_one(&mut *transaction).await?;
    if !is_there {
        // A name cannot be bound.
        let create = AssertSqlSafe(format!("create schema {}", schema.quoted()));
        query(create).execute(&mut *transaction).await?;
    }
    migrator(schema).run_direct(None, &mut *transaction, false).await?;
    transaction.commit().await?;
    Ok(())
}

/// The last migration.
const LATEST: i64 = 2;

/// The migrations, with a table of their own beside that of an application in the same database.
fn migrator(schema: &Schema) -> Migrator {
    let tier = Migration::new(
        1,
        Cow::Borrowed("tier"),
        MigrationType::Simple,
        schema.sql(include_str!("../../../migrations/postgres/0001_tier.sql")),
        false,
    );
    let runs = Migration::new(
        2,
        Cow::Borrowed("runs"),
        MigrationType::Simple,
        schema.sql(include_str!("../../../migrations/postgres/0002_runs.sql")),
        false,
    );
    let mut migrator = Migrator::with_migrations(vec![tier, runs]);
    migrator.dangerous_set_table_name(format!("{}._forewarm_migrations", schema.quoted()));
    // A lock of the session would outlive a transaction that fails.
    migrator.set_locking(false);
    migrator
}
