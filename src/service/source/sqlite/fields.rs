//! Rows as values of JSON.

use std::collections::HashSet;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Number, Value};
use sqlx::sqlite::{SqliteColumn, SqliteConnection, SqliteRow};
use sqlx::{Column as _, ColumnOrigin, FromRow, Row as _, TypeInfo as _, ValueRef as _, query_as};

use crate::service::document::{Object, is_json};

/// The fields of a row, in the order of the query.
pub(super) struct Fields(Vec<Field>);

struct Field {
    name: String,
    origin: ColumnOrigin,
    value: Value,
}

impl Fields {
    /// The row as the text of an object by the names of its columns, of which the last one counts if
    /// several have the same; or, if it is to be a scalar, that of the value of its first one.
    pub(super) fn text(self, declared: &Declared, is_scalar: bool) -> String {
        let said = |field: &Field| match &field.value {
            // Texts that are JSON stand there as they are, and anything else as a text.
            Value::String(text) if declared.is_json(&field.origin) && is_json(text) => text.clone(),
            value => value.to_string(),
        };
        if is_scalar {
            return self.0.first().map_or_else(|| "null".to_owned(), said);
        }
        let mut object = Object::new();
        for (nth, field) in self.0.iter().enumerate() {
            if !self.0.iter().skip(nth + 1).any(|later| later.name == field.name) {
                object.push(&field.name, &said(field));
            }
        }
        object.end()
    }

    /// The value of the first column as a text, whatever its type; `None` if it is null.
    pub(super) fn into_text(self) -> Option<String> {
        match self.0.into_iter().next()?.value {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }
}

impl FromRow<'_, SqliteRow> for Fields {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let field = |column: &SqliteColumn| {
            let (name, origin) = (column.name().to_owned(), column.origin());
            Ok(Field { name, origin, value: value_of(row, column)? })
        };
        row.columns().iter().map(field).collect::<sqlx::Result<_>>().map(Self)
    }
}

/// What stands in a column of a row, by the type of what stands there: in SQLite, that of the column
/// is no more than a wish.
fn value_of(row: &SqliteRow, column: &SqliteColumn) -> sqlx::Result<Value> {
    let at = column.ordinal();
    let raw = row.try_get_raw(at)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let stored = raw.type_info();
    Ok(match stored.name() {
        "INTEGER" => match row.try_get_unchecked(at)? {
            truth @ (0_i64 | 1) if column.type_info().name() == "BOOLEAN" => (truth == 1).into(),
            number => number.into(),
        },
        // Infinities are no JSON.
        "REAL" => Number::from_f64(row.try_get_unchecked(at)?).map_or(Value::Null, Value::Number),
        // SQLite does not see to it that texts are UTF-8.
        "TEXT" => String::from_utf8_lossy(row.try_get_unchecked(at)?).into(),
        _ => BASE64_STANDARD.encode(row.try_get_unchecked::<&[u8], _>(at)?).into(),
    })
}

/// The columns that were declared to hold JSON. SQLite knows no such type; the word is the user's.
#[derive(Debug, Default)]
pub(super) struct Declared(ArcSwap<HashSet<(String, String)>>);

/// Virtual tables, whose modules may not be there, have no page.
const JSON_COLUMNS: &str = "
    select listed.name, declared.name
    from sqlite_schema as listed, pragma_table_xinfo(listed.name) as declared
    where listed.type = 'table' and listed.rootpage > 0 and lower(declared.type) = 'json'";

impl Declared {
    /// Asks the database. Every new connection does, so that a change of the tables is seen at some
    /// time.
    pub(super) async fn note(&self, db: &mut SqliteConnection) -> sqlx::Result<()> {
        let columns: Vec<(String, String)> = query_as(JSON_COLUMNS).fetch_all(db).await?;
        self.0.store(columns.into_iter().collect::<HashSet<_>>().into());
        Ok(())
    }

    fn is_json(&self, origin: &ColumnOrigin) -> bool {
        let columns = self.0.load();
        !columns.is_empty()
            && origin.table_column().is_some_and(|column| {
                columns.contains(&(column.table.to_string(), column.name.to_string()))
            })
    }
}
