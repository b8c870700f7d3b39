//! Writing what waits together, without one suffering for another.

use std::slice;
use std::sync::Arc;

use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use super::queue::Queued;
use super::turn::Turn;
use crate::tier::TierError;

/// Writes a group, in one transaction if that succeeds, and tells the callers how it ended. Gives
/// the last thing that went wrong.
pub(super) async fn write(
    db: &mut SqliteConnection,
    turn: Turn,
    group: &mut Vec<Box<dyn Queued>>,
) -> Result<(), Arc<sqlx::Error>> {
    match transact(db, turn, group).await {
        // One of them is at fault: the others must not suffer for it.
        Err(Failure::Within(_)) if group.len() > 1 => write_each(db, turn, group).await,
        Err(Failure::Within(error) | Failure::Begin(error)) => {
            end(group.drain(..), &Err(TierError::new(Arc::clone(&error))));
            Err(error)
        }
        Ok(()) => {
            end(group.drain(..), &Ok(()));
            Ok(())
        }
    }
}

/// Writes each in a transaction of its own.
async fn write_each(
    db: &mut SqliteConnection,
    turn: Turn,
    group: &mut Vec<Box<dyn Queued>>,
) -> Result<(), Arc<sqlx::Error>> {
    let mut outcome = Ok(());
    let mut waiting = group.drain(..);
    while let Some(mut queued) = waiting.next() {
        match transact(db, turn, slice::from_mut(&mut queued)).await {
            Ok(()) => queued.end(Ok(())),
            Err(Failure::Within(error)) => {
                queued.end(Err(TierError::new(Arc::clone(&error))));
                outcome = Err(error);
            }
            // The file is locked: each of the others would wait for it in turn.
            Err(Failure::Begin(error)) => {
                let failed = Err(TierError::new(Arc::clone(&error)));
                end(std::iter::once(queued).chain(waiting), &failed);
                return Err(error);
            }
        }
    }
    outcome
}

/// Tells all of a group how it ended.
pub(super) fn end(group: impl Iterator<Item = Box<dyn Queued>>, outcome: &Result<(), TierError>) {
    for queued in group {
        queued.end(outcome.clone());
    }
}

/// Where a transaction failed.
enum Failure {
    /// Before it had begun.
    Begin(Arc<sqlx::Error>),
    Within(Arc<sqlx::Error>),
}

// Transactions are begun and ended by plain statements. SQLite may roll back by itself, as when
// the disk is full; sqlx's own count of transactions would not notice, and never recover.
const BEGIN: &str = "begin immediate";
const ROLLBACK: &str = "rollback";

async fn transact(
    db: &mut SqliteConnection,
    turn: Turn,
    group: &mut [Box<dyn Queued>],
) -> Result<(), Failure> {
    let begun = query(BEGIN).execute(&mut *db).await;
    begun.map_err(|error| Failure::Begin(Arc::new(error)))?;
    if let Err(error) = write_all(db, turn, group).await {
        // If this fails, SQLite has rolled back already.
        drop(query(ROLLBACK).execute(db).await);
        return Err(Failure::Within(Arc::new(error)));
    }
    Ok(())
}

const COMMIT: &str = "commit";

async fn write_all(
    db: &mut SqliteConnection,
    turn: Turn,
    group: &mut [Box<dyn Queued>],
) -> Result<(), sqlx::Error> {
    for queued in group {
        queued.write(db, turn).await?;
    }
    query(COMMIT).execute(db).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{ConnectOptions as _, query_scalar};
    use tokio::sync::oneshot;

    use super::super::queue::{Waiting, Write};
    use super::*;

    /// Stores a text, and then fails at a second statement if there is one.
    struct Store(&'static str, Option<&'static str>);

    impl Write for Store {
        type Answer = &'static str;

        async fn write(
            &self,
            db: &mut SqliteConnection,
            _turn: Turn,
        ) -> Result<&'static str, sqlx::Error> {
            query("insert into test values (?)").bind(self.0).execute(&mut *db).await?;
            if let Some(sql) = self.1 {
                query(sql).execute(db).await?;
            }
            Ok(self.0)
        }
    }

    const TURN: Turn = Turn { now: 0, wall: 0, log_rows: 0 };
    /// It fails, and nothing but it.
    const WRONG: Option<&str> = Some("insert into test values (null)");
    /// It fails, and SQLite rolls the whole transaction back.
    const FULL: Option<&str> = Some("insert into test values (hex(randomblob(1000000)))");

    async fn open(path: &Path) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
        let mut db = options.busy_timeout(std::time::Duration::ZERO).connect().await.unwrap();
        query("create table if not exists test (text text not null)")
            .execute(&mut db)
            .await
            .unwrap();
        query("pragma max_page_count = 20").execute(&mut db).await.unwrap();
        db
    }

    async fn stored(db: &mut SqliteConnection) -> Vec<String> {
        query_scalar("select text from test order by rowid").fetch_all(db).await.unwrap()
    }

    type Group = Vec<Box<dyn Queued>>;
    type Answer = oneshot::Receiver<Result<&'static str, TierError>>;

    fn group(stores: Vec<Store>) -> (Group, Vec<Answer>) {
        let queued = |store| {
            let (waiting, answer) = Waiting::new(store);
            (Box::new(waiting) as Box<dyn Queued>, answer)
        };
        stores.into_iter().map(queued).unzip()
    }

    #[tokio::test]
    async fn a_group_is_written_and_every_caller_is_told() {
        let home = tempfile::tempdir().unwrap();
        let mut db = open(&home.path().join("test.db")).await;
        let (mut waiting, answers) = group(vec![Store("one", None), Store("two", None)]);
        write(&mut db, TURN, &mut waiting).await.unwrap();
        for (answer, text) in answers.into_iter().zip(["one", "two"]) {
            assert_eq!(answer.await.unwrap().unwrap(), text);
        }
        assert_eq!(stored(&mut db).await, ["one", "two"]);
    }

    #[tokio::test]
    async fn the_others_do_not_suffer_for_one_that_fails() {
        for (failing, why) in [(WRONG, "wrong"), (FULL, "full")] {
            let home = tempfile::tempdir().unwrap();
            let mut db = open(&home.path().join("test.db")).await;
            let stores = vec![Store("one", None), Store(why, failing), Store("three", None)];
            let (mut waiting, answers) = group(stores);
            write(&mut db, TURN, &mut waiting).await.unwrap_err();
            let mut succeeded = Vec::new();
            for answer in answers {
                succeeded.push(answer.await.unwrap().is_ok());
            }
            assert_eq!(succeeded, [true, false, true], "{why}");
            assert_eq!(stored(&mut db).await, ["one", "three"], "{why}");
            let (mut waiting, _answers) = group(vec![Store("four", None)]);
            write(&mut db, TURN, &mut waiting).await.unwrap();
            assert_eq!(stored(&mut db).await, ["one", "three", "four"], "{why}");
        }
    }

    #[tokio::test]
    async fn one_that_fails_alone_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let mut db = open(&home.path().join("test.db")).await;
        for failing in [WRONG, FULL, WRONG] {
            let (mut waiting, answers) = group(vec![Store("one", failing)]);
            write(&mut db, TURN, &mut waiting).await.unwrap_err();
            for answer in answers {
                assert!(answer.await.unwrap().is_err());
            }
        }
        assert_eq!(stored(&mut db).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn all_are_refused_while_another_holds_the_lock() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("test.db");
        let (mut db, mut other) = (open(&path).await, open(&path).await);
        query("begin immediate").execute(&mut other).await.unwrap();
        let (mut waiting, answers) = group(vec![Store("one", None), Store("two", None)]);
        write(&mut db, TURN, &mut waiting).await.unwrap_err();
        for answer in answers {
            assert!(answer.await.unwrap().is_err());
        }
        query("rollback").execute(&mut other).await.unwrap();
        assert_eq!(stored(&mut db).await, Vec::<String>::new());
    }
}
