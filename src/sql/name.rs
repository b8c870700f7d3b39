//! Names of tables and columns that are put into statements.

use std::fmt::{self, Display};

use crate::error::ConfigError;

/// A name that can stand in a statement, since it is quoted and holds nothing that could end the
/// quotes. Nothing but a name can be made of whatever text it is read from.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Name(String);

/// What PostgreSQL cuts off longer names to, in bytes: then it would be another name.
const BYTES_MAX: usize = 63;

impl Name {
    /// Reads a name as the database holds it: ASCII letters, digits and `_`, not beginning with a
    /// digit, 63 at most.
    pub(super) fn parse(field: &str, text: &str) -> Result<Self, ConfigError> {
        let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
        let is_name = text.len() <= BYTES_MAX
            && text.starts_with(is_letter)
            && text.chars().all(|c| is_letter(c) || c.is_ascii_digit());
        if is_name {
            return Ok(Self(text.to_owned()));
        }
        let problem = format!("is no name that can be used: `{}`", text.escape_debug());
        let remedy = "use up to 63 ASCII letters, digits and `_`, beginning with no digit";
        Err(ConfigError::new(field, problem, remedy))
    }
}

/// In quotes.
impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// The name of a table, in a schema or not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct TableName {
    schema: Option<Name>,
    table: Name,
}

impl TableName {
    /// Reads `table` or `schema.table`.
    pub(super) fn parse(field: &str, text: &str) -> Result<Self, ConfigError> {
        let (schema, table) = match text.split_once('.') {
            Some((schema, table)) => (Some(Name::parse(field, schema)?), table),
            None => (None, text),
        };
        Ok(Self { schema, table: Name::parse(field, table)? })
    }
}

impl Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.table),
            None => write!(f, "{}", self.table),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_and_nothing_else_is_one() {
        let quoted = |text: &str| TableName::parse("table", text).map(|name| name.to_string());
        for (text, name) in [
            ("api_log", r#""api_log""#),
            ("_x9", r#""_x9""#),
            ("Select", r#""Select""#),
            ("audit.api_log", r#""audit"."api_log""#),
        ] {
            assert_eq!(quoted(text).as_deref(), Ok(name));
        }
        let long = "x".repeat(64);
        for text in [
            "",
            ".",
            "a.",
            ".a",
            "a.b.c",
            "9a",
            "a b",
            "a-b",
            "a\"b",
            "a'b",
            "a;drop table b",
            "a\" ; drop table b; --",
            "a/*b*/",
            "a\\b",
            "a\0b",
            "a\nb",
            "[a]",
            "`a`",
            "ä",
            "а",
            "$1",
            &long,
        ] {
            assert!(quoted(text).is_err(), "{text:?}");
        }
    }
}
