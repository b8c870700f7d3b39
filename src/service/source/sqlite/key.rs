//! Keys that are bound as text.

use std::convert::Infallible;
use std::fmt::{self, Display};
use std::str::FromStr;

use serde::Serialize;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::{Database, Decode, Encode, Sqlite, Type, TypeInfo as _, ValueRef as _};

/// A key that is bound as text, and found whatever the type of the column is that has it: where
/// SQLite compares a text with a column of integers, it takes the text for a number.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct TextKey(String);

impl TextKey {
    /// Any text is one.
    #[expect(clippy::unnecessary_wraps, reason = "a text may be no key of another type")]
    pub(super) fn of(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }
}

impl Type<Sqlite> for TextKey {
    fn type_info() -> <Sqlite as Database>::TypeInfo {
        <String as Type<Sqlite>>::type_info()
    }

    fn compatible(_any: &<Sqlite as Database>::TypeInfo) -> bool {
        true
    }
}

impl Encode<'_, Sqlite> for TextKey {
    fn encode_by_ref(
        &self,
        buffer: &mut <Sqlite as Database>::ArgumentBuffer,
    ) -> Result<IsNull, BoxDynError> {
        Encode::<Sqlite>::encode_by_ref(&self.0, buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for TextKey {
    fn decode(value: <Sqlite as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
        let is_integer = value.type_info().name() == "INTEGER";
        let text = match is_integer {
            true => <i64 as Decode<'r, Sqlite>>::decode(value)?.to_string(),
            false => Decode::<Sqlite>::decode(value)?,
        };
        Ok(Self(text))
    }
}

impl Display for TextKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TextKey {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}
