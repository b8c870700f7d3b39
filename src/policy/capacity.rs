//! How much a resource may keep in memory.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most that a resource keeps in memory: bytes, or entries.
///
/// Written as `64 MiB` or `1000 entries`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Capacity {
    /// This many bytes, as the weigher of the resource counts them.
    Bytes(Bytes),
    /// This many entries, whatever their size, unless a weigher counts some as several.
    Entries(u64),
}

impl Capacity {
    /// The number of bytes or of entries.
    #[must_use]
    pub const fn amount(self) -> u64 {
        match self {
            Self::Bytes(Bytes(amount)) | Self::Entries(amount) => amount,
        }
    }
}

impl From<Bytes> for Capacity {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// A number of bytes. What is too large for 64 bits is as much as they hold.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Bytes(u64);

impl Bytes {
    /// This many bytes.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// This many times 1,024 bytes.
    #[must_use]
    pub const fn kib(kib: u64) -> Self {
        Self(kib.saturating_mul(1 << 10))
    }

    /// This many times 1,024 KiB.
    #[must_use]
    pub const fn mib(mib: u64) -> Self {
        Self(mib.saturating_mul(1 << 20))
    }

    /// This many times 1,024 MiB.
    #[must_use]
    pub const fn gib(gib: u64) -> Self {
        Self(gib.saturating_mul(1 << 30))
    }

    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// The units that a capacity can be written in, largest first.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entries(entries) => write!(f, "{entries} entries"),
            Self::Bytes(bytes) => {
                let whole = |(_, size): &&(&str, u64)| bytes.0 > 0 && bytes.0 % size == 0;
                let (unit, size) = UNITS.iter().find(whole).copied().unwrap_or(("B", 1));
                write!(f, "{} {unit}", bytes.0 / size)
            }
        }
    }
}

/// A text that is no capacity.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is no capacity: write it like `64 MiB` or `1000 entries`")]
pub struct ParseCapacityError(String);

impl FromStr for Capacity {
    type Err = ParseCapacityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseCapacityError(text.to_owned());
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (amount, unit) = text.split_at(digits);
        let amount: u64 = amount.parse().map_err(|_not_a_number| wrong())?;
        let unit = unit.trim();
        if unit == "entries" {
            return Ok(Self::Entries(amount));
        }
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        amount.checked_mul(*size).map(|bytes| Self::Bytes(Bytes(bytes))).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Capacity {
    type Error = ParseCapacityError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Capacity> for String {
    fn from(capacity: Capacity) -> Self {
        capacity.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacities_round_trip() {
        for (text, capacity) in [
            ("64 MiB", Bytes::mib(64).into()),
            ("1000 entries", Capacity::Entries(1000)),
            ("1 B", Bytes::new(1).into()),
            ("3 GiB", Bytes::gib(3).into()),
            ("1025 B", Bytes::new(1025).into()),
        ] {
            assert_eq!(text.parse(), Ok(capacity));
            assert_eq!(capacity.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_capacity_is_refused() {
        for text in
            ["", "64", "MiB", "-1 MiB", "64 MB", "99999999999999999999 B", "99999999999 GiB"]
        {
            assert!(text.parse::<Capacity>().is_err(), "{text:?}");
        }
    }
}
