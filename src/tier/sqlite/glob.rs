//! Patterns in SQLite's own terms.

use std::iter;

use crate::key::{Part, Pattern};

/// What the full keys of a resource that match a pattern match for SQLite's `glob`. Unlike `like`
/// it tells `A` from `a`.
pub(super) fn glob(resource: &str, pattern: &Pattern) -> String {
    let start = resource.chars().chain(iter::once(':')).map(Part::Char);
    let mut glob = String::new();
    for part in start.chain(pattern.parts().iter().copied()) {
        match part {
            Part::Any => glob.push('*'),
            Part::One => glob.push('?'),
            // A sign stands for itself in a class of its own.
            Part::Char(sign @ ('*' | '?' | '[')) => glob.extend(['[', sign, ']']),
            Part::Char(char) => glob.push(char),
        }
    }
    glob
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
    use sqlx::{ConnectOptions as _, query_scalar};
    use tokio::runtime::Runtime;

    use super::*;

    async fn matches(db: &mut SqliteConnection, pattern: &Pattern, text: &str) -> bool {
        let sql = query_scalar("select ? glob ?");
        let sql = sql.bind(format!("p*:u[s]:{text}")).bind(glob("p*:u[s]", pattern));
        sql.fetch_one(db).await.unwrap()
    }

    #[test]
    fn sqlite_reads_a_pattern_as_it_is_meant() {
        let runtime = Runtime::new().unwrap();
        let db = runtime.block_on(SqliteConnectOptions::new().in_memory(true).connect()).unwrap();
        let db = RefCell::new(db);
        let signs = r"([ab*?\[\]^\-:é]|\\[*?\[\]\\a]){1,8}";
        let config = ProptestConfig::with_cases(2000);
        proptest!(config, |(pattern in signs, text in r"[ab*?\[\]^\-:é\\]{0,8}")| {
            if let Ok(pattern) = pattern.parse::<Pattern>() {
                let db = &mut db.borrow_mut();
                let matched = runtime.block_on(matches(db, &pattern, &text));
                prop_assert_eq!(matched, pattern.matches(&text));
            }
        });
    }

    #[tokio::test]
    async fn a_key_of_another_resource_does_not_match() {
        let mut db = SqliteConnectOptions::new().in_memory(true).connect().await.unwrap();
        let pattern: Pattern = "*".parse().unwrap();
        for (key, is_of_it) in
            [("p:r:", true), ("p:r:x", true), ("p:r2:x", false), ("P:r:x", false)]
        {
            let sql = query_scalar("select ? glob ?").bind(key).bind(glob("p:r", &pattern));
            let matches: bool = sql.fetch_one(&mut db).await.unwrap();
            assert_eq!(matches, is_of_it, "{key}");
        }
    }
}
