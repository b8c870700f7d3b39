//! The schema that the tables are in, and how statements name it.

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

/// The schema that the tables are in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Schema {
    name: Box<str>,
}

/// The name that statements are written with.
const DEFAULT: &str = "forewarm";

impl Schema {
    /// A schema, or why there can be none of that name.
    pub(super) fn new(name: &str) -> Result<Self, &'static str> {
        match name {
            "" => Err("is empty"),
            name if name.len() > 63 => Err("is longer than 63 bytes"),
            name if name.contains('\0') => Err("contains a NUL character"),
            name if name.starts_with("pg_") => Err("begins with `pg_`"),
            name => Ok(Self { name: name.into() }),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The name as a statement has it.
    pub(super) fn quoted(&self) -> String {
        format!("\"{}\"", self.name.replace('"', "\"\""))
    }

    /// A statement for this schema. It names all tables in full, so that no search path matters.
    pub(super) fn sql(&self, text: &'static str) -> SqlStr {
        if &*self.name == DEFAULT {
            return text.into_sql_str();
        }
        // The name of a schema cannot be bound.
        AssertSqlSafe(text.replace("forewarm.", &format!("{}.", self.quoted()))).into_sql_str()
    }
}

impl Default for Schema {
    fn default() -> Self {
        Self { name: DEFAULT.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_names_the_schema_that_was_chosen() {
        let text = "select key from forewarm.entry join forewarm.meta on true";
        assert_eq!(Schema::default().sql(text).as_str(), text);
        let odd = Schema::new("my \"own\"").unwrap();
        let expected = r#"select key from "my ""own""".entry join "my ""own""".meta on true"#;
        assert_eq!(odd.sql(text).as_str(), expected);
    }

    #[test]
    fn what_cannot_be_a_schema_is_refused() {
        for name in ["", "pg_cache", "a\0b", &"x".repeat(64)] {
            assert!(Schema::new(name).is_err(), "{name:?}");
        }
        assert!(Schema::new("Größe").is_ok());
    }
}
