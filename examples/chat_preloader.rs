//! A chat: what is read of a user who has never been seen is in memory before it is asked for, since
//! it was learned from others what is read after what.
//!
//! ```sh
//! cargo run --features sqlite --example chat_preloader
//! ```
#![expect(clippy::print_stdout, reason = "this program shows something")]

use std::error::Error;
use std::time::Duration;

use forewarm::{
    Bundle, Forewarm, Key, Policy, PreloadMode, PreloadPolicy, ReadFrom, ReadOptions, Resource,
    SqlLoader,
};
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use sqlx::Sqlite;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Person {
    name: String,
    /// Where they were last.
    last_stream: i64,
}

const SCHEMA: &str = "
    create table person (id integer primary key, name text not null, last_stream integer not null);
    create table permission (person integer not null, name text not null);
    create table relationship (person integer not null, other integer not null);
    create table stream (id integer primary key, title text not null);
    create table message (id integer primary key, stream integer not null, text text not null);
    create index permission_person on permission (person);
    create index relationship_person on relationship (person);
    create index message_stream on message (stream, id);
    with recursive n (id) as (select 1 union all select id + 1 from n where id < 200)
        insert into person select id, 'person ' || id, id + 1000 from n;
    insert into permission select id, 'read' from person union all select id, 'write' from person;
    insert into relationship select id, id % 200 + 1 from person;
    insert into stream select last_stream, 'stream of ' || name from person;
    insert into message (stream, text)
        select stream.id, 'hello ' || nth.id from stream, person as nth where nth.id <= 60;
";

/// What a chat reads: each kind of thing by its own id, and no word of which follows which.
#[derive(Clone)]
struct Chat {
    person: Resource<i64, Person>,
    permissions: Resource<i64, Vec<String>>,
    relationship: Resource<i64, Vec<i64>>,
    stream: Resource<i64, String>,
    messages: Resource<i64, Vec<String>>,
}

/// What is loaded ahead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ahead {
    Nothing,
    /// What was learned.
    Learned,
    /// And what is declared: after a person, the stream that they were in last.
    Declared,
}

impl Chat {
    fn new(forewarm: &Forewarm, pool: &SqlitePool, ahead: Ahead) -> Result<Self, forewarm::Error> {
        let mode = match ahead {
            Ahead::Nothing => PreloadMode::Off,
            Ahead::Learned | Ahead::Declared => PreloadMode::Predicted,
        };
        let preload = PreloadPolicy { mode, ..PreloadPolicy::default() };
        let policy = Policy { preload, ..Policy::default() };

        let sql = "select name, last_stream from person where id = $1";
        let person = SqlLoader::<Sqlite, i64, (String, i64)>::new(pool.clone(), sql);
        let person = person.map(|(name, last_stream)| Person { name, last_stream });
        let mut builder = forewarm.resource("person").policy(policy.clone()).loader(person);
        if ahead == Ahead::Declared {
            builder = builder.related("stream", |_id, person: &Person| [person.last_stream]);
        }

        let sql = "select name from permission where person = $1 limit $2";
        let permissions = SqlLoader::<Sqlite, i64, (String,)>::new(pool.clone(), sql);
        let permissions = permissions.map(|(name,)| name).list(100);
        let sql = "select other from relationship where person = $1 limit $2";
        let relationship = SqlLoader::<Sqlite, i64, (i64,)>::new(pool.clone(), sql);
        let relationship = relationship.map(|(other,)| other).list(100);
        let sql = "select title from stream where id = $1";
        let stream = SqlLoader::<Sqlite, i64, (String,)>::new(pool.clone(), sql);
        let stream = stream.map(|(title,)| title);
        let sql = "select text from message where stream = $1 order by id desc limit $2";
        let messages = SqlLoader::<Sqlite, i64, (String,)>::new(pool.clone(), sql);
        let messages = messages.map(|(text,)| text).list(50);

        let of = |name: &str| forewarm.resource(name).policy(policy.clone());
        Ok(Self {
            person: builder.build()?,
            permissions: of("permissions").loader(permissions).build()?,
            relationship: forewarm
                .resource("relationship")
                .policy(policy.clone())
                .loader(relationship)
                .build()?,
            stream: forewarm.resource("stream").policy(policy.clone()).loader(stream).build()?,
            messages: forewarm.resource("messages").policy(policy).loader(messages).build()?,
        })
    }

    /// A user logs in, and opens the stream that they were in last. Gives which of the five reads
    /// memory answered.
    async fn visit(&self, user: i64) -> Result<[bool; 5], forewarm::Error> {
        let person = self.person.get(&user).await?;
        let last_stream = person.map_or(0, |person| person.last_stream);
        pause().await;
        let permissions = is_hit(&self.permissions, user).await?;
        let relationship = is_hit(&self.relationship, user).await?;
        pause().await;
        let stream = is_hit(&self.stream, last_stream).await?;
        pause().await;
        let messages = is_hit(&self.messages, last_stream).await?;
        // Nobody had a reason to expect the first read.
        Ok([false, permissions, relationship, stream, messages])
    }
}

/// What people take from one click to the next, or a page from one request to the next.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// Reads a key; gives whether memory had it.
async fn is_hit<K: Key, V: Send + Sync + 'static>(
    resource: &Resource<K, V>,
    key: K,
) -> Result<bool, forewarm::Error> {
    let read = resource.read(&key, &ReadOptions::new()).await?;
    Ok(read.from == ReadFrom::L1)
}

/// How many of the users who have never been seen found each thing in memory.
async fn try_with(
    pool: &SqlitePool,
    ahead: Ahead,
) -> Result<([usize; 5], Forewarm), Box<dyn Error>> {
    let forewarm = Forewarm::builder().prefix("chat").build().await?;
    let chat = Chat::new(&forewarm, pool, ahead)?;
    forewarm.start().await?;
    // Each user is a client of their own, whose reads belong together.
    let visit = |user: i64| forewarm.scope_of(&user).run(chat.visit(user));
    for wave in [1..=20, 21..=40, 41..=60] {
        try_join_all(wave.map(visit)).await?;
    }
    let mut hits = [0; 5];
    for visited in try_join_all(NEW_USERS.map(visit)).await? {
        for (hits, is_hit) in hits.iter_mut().zip(visited) {
            *hits += usize::from(is_hit);
        }
    }
    Ok((hits, forewarm))
}

const NEW_USERS: std::ops::RangeInclusive<i64> = 101..=120;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = SqliteConnectOptions::new().filename(folder.path().join("chat.db"));
    let pool = SqlitePoolOptions::new().connect_with(file.create_if_missing(true)).await?;
    sqlx::raw_sql(SCHEMA).execute(&pool).await?;

    let (off, _) = try_with(&pool, Ahead::Nothing).await?;
    let (learned, forewarm) = try_with(&pool, Ahead::Learned).await?;
    let (declared, _) = try_with(&pool, Ahead::Declared).await?;
    println!("found in memory, of {} users never seen before:", NEW_USERS.count());
    println!("{:<14}{:>6}{:>10}{:>15}", "", "off", "learned", "and declared");
    let names = ["person", "permissions", "relationship", "stream", "messages"];
    for (name, ((off, learned), declared)) in
        names.into_iter().zip(off.into_iter().zip(learned).zip(declared))
    {
        println!("{name:<14}{off:>6}{learned:>10}{declared:>15}");
    }
    println!("\nlearned from 60 others:");
    for rule in forewarm.learned_rules().iter().filter(|rule| rule.confidence > 0.5) {
        println!("after {}, {} ({:.0} %)", rule.from, rule.to, rule.confidence * 100.0);
    }
    show_bundle(&pool).await
}

/// What a bundle is about.
struct Place {
    user: i64,
    stream: i64,
}

/// What need not be learned, since it is known, can be said: one call for all of it.
async fn show_bundle(pool: &SqlitePool) -> Result<(), Box<dyn Error>> {
    let forewarm = Forewarm::builder().prefix("chat").build().await?;
    let Chat { person, permissions, relationship, stream, messages } =
        Chat::new(&forewarm, pool, Ahead::Nothing)?;
    forewarm.start().await?;
    let page = Bundle::new()
        .key(&person, |at: &Place| at.user)
        .key(&permissions, |at| at.user)
        .key(&relationship, |at| at.user)
        .key(&stream, |at| at.stream)
        .key(&messages, |at| at.stream);
    let place = Place { user: 7, stream: 1007 };
    println!("\none call preloads {} things", page.preload(&place).await.loaded);
    let page = page.load(&place).await;
    let misses: u64 = forewarm.stats().iter().map(|stats| stats.misses).sum();
    println!("one call reads them: {misses} misses");
    let person = page.get(&person)?.ok_or("person 7 is there")?;
    let messages = page.get(&messages)?.ok_or("the stream is there")?;
    let newest = messages.first().ok_or("there are messages")?;
    println!("{}, {} newest messages, first: {newest}", person.name, messages.len());
    Ok(())
}
