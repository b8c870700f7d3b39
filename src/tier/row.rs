//! A change as a row of a log.

use super::change::{Change, Lag, Selector};

/// A change as a row of a log: what kind, `{prefix}:{resource}` or the full key, and the tag or
/// pattern.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Row<'a> {
    pub(crate) kind: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) detail: &'a str,
}

/// The kind of a row that tells of an expiry.
pub(crate) const EXPIRED: &str = "expired";

impl<'a> From<Selector<'a>> for Row<'a> {
    fn from(selector: Selector<'a>) -> Self {
        let (kind, subject, detail) = match selector {
            Selector::Key(key) => ("key", key, ""),
            Selector::Resource(resource) => ("resource", resource, ""),
            Selector::Tag { resource, tag } => ("tag", resource, tag),
            Selector::Pattern { resource, pattern } => ("pattern", resource, pattern),
        };
        Row { kind, subject, detail }
    }
}

impl Row<'_> {
    /// The change that a row tells of.
    pub(crate) fn change(self, lag: Option<Lag>) -> Change {
        let (subject, detail) = (self.subject.to_owned(), self.detail.to_owned());
        match self.kind {
            "key" => Change::Key { key: subject, lag },
            EXPIRED => Change::Expired { key: subject },
            "resource" => Change::Resource { resource: subject },
            "tag" => Change::Tag { resource: subject, tag: detail },
            "pattern" => Change::Pattern { resource: subject, pattern: detail },
            _ => Change::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_what_was_selected() {
        let (resource, key) = ("p:r".to_owned(), "p:r:1".to_owned());
        let cases = [
            (Selector::Key("p:r:1"), Change::Key { key, lag: None }),
            (Selector::Resource("p:r"), Change::Resource { resource: resource.clone() }),
            (
                Selector::Tag { resource: "p:r", tag: "t" },
                Change::Tag { resource: resource.clone(), tag: "t".to_owned() },
            ),
            (
                Selector::Pattern { resource: "p:r", pattern: "1*" },
                Change::Pattern { resource, pattern: "1*".to_owned() },
            ),
        ];
        for (selector, change) in cases {
            assert_eq!(Row::from(selector).change(None), change);
        }
        assert_eq!(Row { kind: "later", subject: "", detail: "" }.change(None), Change::Unknown);
    }
}
