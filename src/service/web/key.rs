//! What may be a key.

use super::problem::Problem;
use crate::service::app::Documents;

/// Refuses what is no key of a resource, or no name by an alias: nothing, what is longer than the
/// resource keeps, and what has control characters, which no log or terminal should be shown.
///
/// # Errors
///
/// Says what is wrong with it, and not what it is.
pub(super) fn check_key(documents: &Documents, key: &str) -> Result<(), Problem> {
    let bytes_max = documents.policy().key_bytes_max;
    let detail = if key.is_empty() {
        "the key is empty".to_owned()
    } else if key.len() > bytes_max {
        let name = documents.name();
        format!(
            "the key has {} bytes: {bytes_max} at most, see `resources.{name}.policy.key_bytes_max`",
            key.len()
        )
    } else if has_control(key) {
        "the key has control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(Problem::bad_request(detail))
}

fn has_control(key: &str) -> bool {
    // Nearly all are ASCII.
    if key.is_ascii() {
        return key.bytes().any(|byte| byte.is_ascii_control());
    }
    key.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_found_wherever_they_are() {
        for key in ["\0", "a\nb", "a\u{7f}", "\u{85}", "ü\u{9b}31m", "\t"] {
            assert!(has_control(key), "{key:?}");
        }
        for key in ["a b", "ü", "1:2", "\u{a0}", "😀"] {
            assert!(!has_control(key), "{key:?}");
        }
    }
}
