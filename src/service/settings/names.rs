//! The names that users give.

use std::collections::BTreeMap;

use super::Problems;
use crate::error::ConfigError;

/// Says which names of a part of the settings cannot be: names stand in paths, keys, labels of metrics
/// and variables of the environment.
pub(super) fn problems<T>(part: &str, named: &BTreeMap<String, T>) -> Problems {
    let mut problems = Problems::default();
    let mut seen = BTreeMap::new();
    for name in named.keys() {
        problems.note(check(part, name));
        if let Some(other) = seen.insert(folded(name), name) {
            let problem = format!("is the same as `{}` for variables", other.escape_debug());
            let remedy = "use names that differ in letters or digits, small or not";
            problems.note(Err(ConfigError::new(format!("{part}.{name}"), problem, remedy)));
        }
    }
    problems
}

fn check(part: &str, name: &str) -> Result<(), ConfigError> {
    const LENGTH_MAX: usize = 64;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    // Two of them part the keys of variables.
    let is_one_key = !folded(name).contains("__");
    if starts_well && is_one_key && name.len() <= LENGTH_MAX && name.bytes().all(is_plain) {
        return Ok(());
    }
    let shown: String = name.chars().take(LENGTH_MAX).flat_map(char::escape_debug).collect();
    let remedy = "use 1 to 64 of `a`-`z`, `A`-`Z`, `0`-`9`, `_`, `-` and `.`, a letter or digit first, \
                  and no two of the last three in a row";
    Err(ConfigError::new(format!("{part}.{shown}"), "has a name that cannot be", remedy))
}

/// A name as variables of the environment have it: they know neither small letters nor `-` and `.`.
pub(super) fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace(['-', '.'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_told_apart_by_variables() {
        let fields = |names: &[&str]| {
            let named = names.iter().map(|name| ((*name).to_owned(), ())).collect();
            let found = problems("resources", &named).found;
            found.iter().map(|error| error.field().to_owned()).collect::<Vec<_>>()
        };
        assert!(fields(&["User", "user-profile", "a.b", "1", "x_"]).is_empty());
        for name in ["", "_a", "a b", "é", "a__b", "a-_b", &"x".repeat(65)] {
            assert_eq!(fields(&[name]).len(), 1, "{name}");
        }
        assert_eq!(fields(&["User", "user"]), ["resources.user"]);
        assert_eq!(fields(&["a-b", "a.b", "a_b"]), ["resources.a.b", "resources.a_b"]);
    }
}
