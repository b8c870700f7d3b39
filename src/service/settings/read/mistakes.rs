//! Values that are none of their fields: all of them, not only the first.

use std::collections::BTreeSet;

use serde_path_to_error::{Path, Segment};
use toml::{Table, Value};

use super::{Settings, Written};

/// More are not read by anybody.
const MISTAKES_MAX: usize = 50;

/// What keeps a table from being settings: each value that does is taken out, and what is left is tried
/// again.
pub(super) fn all(written: &Written<'_>, mut table: Table) -> Vec<String> {
    let (mut problems, mut taken) = (Vec::new(), BTreeSet::new());
    while problems.len() < MISTAKES_MAX {
        let tried = serde_path_to_error::deserialize(Value::Table(table.clone()));
        let error = match tried.map(|_: Settings| ()) {
            Ok(()) => break,
            Err(error) => error,
        };
        let keys = keys_of(error.path());
        // What is missing because it was taken out has been told of.
        let missing = missing_field(error.inner().message());
        let was_taken = missing.is_some_and(|name| {
            let mut whole = keys.clone();
            whole.push(name.to_owned());
            taken.contains(&whole)
        });
        if !was_taken {
            problems.push(written.mistaken(&error));
        }
        if !take_out(&mut table, &keys) {
            break;
        }
        taken.insert(keys);
    }
    problems
}

/// The keys on the way to a value, or to the list that it stands in.
fn keys_of(path: &Path) -> Vec<String> {
    let key = |segment: &Segment| match segment {
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Seq { .. } | Segment::Unknown => None,
    };
    path.iter().map_while(key).collect()
}

fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}

/// Takes out a value, or what it stands in if it cannot be found there.
fn take_out(table: &mut Table, keys: &[String]) -> bool {
    let Some((first, rest)) = keys.split_first() else { return false };
    if !rest.is_empty()
        && let Some(Value::Table(inner)) = table.get_mut(first)
        && take_out(inner, rest)
    {
        // What is left of it may be nothing, and nothing is none of several forms.
        if inner.is_empty() {
            table.remove(first);
        }
        return true;
    }
    table.remove(first).is_some()
}
