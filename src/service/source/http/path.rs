//! Where a key is on a server, and nowhere else.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

use crate::error::ConfigError;
use crate::service::settings::load::ID;

/// What all URLs of a source begin with.
///
/// A URL that is made under it means what is written: whatever would be understood otherwise, such
/// as `..` for what is above, makes none.
#[derive(Clone, Debug)]
pub(super) struct Root(String);

/// What a key may have as it is: the unreserved characters of RFC 3986. So a key adds no segment,
/// no parameter and no host, and is not decoded to another one.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl Root {
    /// Reads what the settings say.
    pub(super) fn of(text: &str) -> Result<Self, ConfigError> {
        // What is wrong is not repeated: it may contain a password.
        let wrong = |problem| {
            let remedy = "use one such as `https://api.example.com/v2`, and headers for secrets";
            Err(ConfigError::new("url", problem, remedy))
        };
        let Ok(url) = Url::parse(text) else { return wrong("is no URL") };
        if !matches!(url.scheme(), "http" | "https") {
            return wrong("is neither `http` nor `https`");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong("has a name or a password in it");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return wrong("has a `?` or a `#` in it");
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// What is at a path under it.
    pub(super) fn at(&self, path: &str) -> Option<Url> {
        let path = if path.is_empty() { "/" } else { path };
        let written = format!("{}{path}", self.0);
        let url = Url::parse(&written).ok()?;
        (path.starts_with('/') && url.as_str() == written && url.fragment().is_none())
            .then_some(url)
    }

    /// Where a key is, by a path with a place for it; `None` if it cannot be said so.
    pub(super) fn of_key(&self, path: &str, key: &str) -> Option<Url> {
        // Without a key, the path may be that of all keys.
        if key.is_empty() {
            return None;
        }
        self.at(&path.replace(ID, &utf8_percent_encode(key, ENCODED).to_string()))
    }

    /// Says whether a path leads anywhere once it has a key.
    pub(super) fn check(&self, field: &str, path: &str) -> Result<(), ConfigError> {
        if self.of_key(path, "1").is_some() {
            return Ok(());
        }
        let problem = "is not written as a server would understand it";
        let remedy = "begin with `/`, leave out `..` and `#`, and write what is no ASCII, spaces and \
            the like in percent encoding";
        Err(ConfigError::new(field, problem, remedy))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn root() -> Root {
        Root::of("https://api.example.com/v2/").unwrap()
    }

    #[test]
    fn a_key_is_one_segment_or_one_value() {
        let cases = [
            ("AAPL", "AAPL"),
            ("BRK.B", "BRK.B"),
            ("a/b", "a%2Fb"),
            ("a\\b", "a%5Cb"),
            ("a?b=1&c=2#d", "a%3Fb%3D1%26c%3D2%23d"),
            ("%2e%2e", "%252e%252e"),
            ("%2F", "%252F"),
            ("../../admin", "..%2F..%2Fadmin"),
            ("//evil.example/", "%2F%2Fevil.example%2F"),
            ("@evil.example", "%40evil.example"),
            ("a b+c", "a%20b%2Bc"),
            ("é\0\r\nx: y", "%C3%A9%00%0D%0Ax%3A%20y"),
            ("{id}", "%7Bid%7D"),
            (";a=1", "%3Ba%3D1"),
        ];
        for (key, encoded) in cases {
            let url = root().of_key("/quote/{id}/now", key).unwrap();
            assert_eq!(url.as_str(), format!("https://api.example.com/v2/quote/{encoded}/now"));
            let url = root().of_key("/quote?symbol={id}&now=1", key).unwrap();
            let expected = format!("https://api.example.com/v2/quote?symbol={encoded}&now=1");
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn what_would_be_understood_otherwise_is_nowhere() {
        for key in ["", ".", ".."] {
            assert_eq!(root().of_key("/quote/{id}", key), None, "{key:?}");
        }
        assert_eq!(root().of_key("/quote/.{id}", "."), None);
        assert_eq!(root().of_key("/quote/{id}{id}", "."), None);
        assert!(root().of_key("/quote?at={id}", "..").is_some(), "a value is no segment");
        for path in ["", "quote", "/a/../b", "/a b", "/é", "/a#b", "\\a"] {
            assert!(root().check("path", path).is_err() || path.is_empty(), "{path}");
        }
    }

    #[test]
    fn the_root_has_no_secrets() {
        for text in [
            "",
            "api.example.com",
            "ftp://api.example.com",
            "https://me:s3cret@api.example.com",
            "https://me@api.example.com",
            "https://api.example.com/?key=s3cret",
            "https://api.example.com/#s3cret",
        ] {
            let error = Root::of(text).unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_key_leads_elsewhere(key in any::<String>(), odd in "[./\\\\%?#&@:a2eE;= \t\r\n-]{0,12}") {
            for key in [key, odd] {
                if let Some(url) = root().of_key("/quote/{id}/now?of={id}", &key) {
                    assert_eq!(url.host_str(), Some("api.example.com"));
                    let segments: Vec<_> = url.path_segments().unwrap().collect();
                    assert_eq!((segments.len(), segments[1], segments[3]), (4, "quote", "now"));
                    let pairs: Vec<_> = url.query_pairs().collect();
                    assert_eq!(pairs, [("of".into(), key.as_str().into())]);
                    assert_eq!(url.fragment(), None);
                }
            }
        }
    }
}
