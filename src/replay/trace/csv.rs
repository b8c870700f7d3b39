//! Requests in a CSV whose header names the columns.

use std::borrow::Cow;

use jiff::SignedDuration;

use super::line::{Access, Flaw, Stamp};

/// Where the columns that matter are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Columns {
    timestamp: usize,
    key: usize,
    client: Option<usize>,
    op: Option<usize>,
}

/// Operations that are no reads. Whatever else a trace calls its operations is taken for a read:
/// many name them after what lies behind, such as the commands of a disk.
const WRITES: [&str; 22] = [
    "add",
    "append",
    "cas",
    "decr",
    "del",
    "delete",
    "expire",
    "flush",
    "incr",
    "insert",
    "invalidate",
    "patch",
    "post",
    "prepend",
    "purge",
    "put",
    "remove",
    "replace",
    "set",
    "update",
    "w",
    "write",
];

impl Columns {
    const TIMESTAMP: &str = "timestamp_s";
    const KEY: &str = "key";

    /// Reads the first line of a file; gives `None` if it is not the header of such a CSV.
    ///
    /// # Errors
    ///
    /// The column that it lacks.
    pub(super) fn of(header: &[u8]) -> Result<Option<Self>, &'static str> {
        let header = header.strip_prefix(b"\xef\xbb\xbf").unwrap_or(header);
        let names: Vec<_> = Fields(Some(header)).map_while(Result::ok).collect();
        let column = |name: &str| {
            names.iter().position(|field| field.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
        };
        match (column(Self::TIMESTAMP), column(Self::KEY)) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Self::TIMESTAMP),
            (Some(_), None) => Err(Self::KEY),
            (Some(timestamp), Some(key)) => {
                Ok(Some(Self { timestamp, key, client: column("client"), op: column("op") }))
            }
        }
    }

    /// Reads a line; gives `None` if it is a write.
    pub(super) fn parse<'a>(&self, line: &'a [u8]) -> Result<Option<Access<'a>>, Flaw> {
        let (mut at, mut key, mut client, mut op) = (None, None, None, None);
        for (nth, field) in Fields(Some(line)).enumerate() {
            let field = Some(field?);
            match nth {
                _ if nth == self.timestamp => at = field,
                _ if nth == self.key => key = field,
                _ if Some(nth) == self.client => client = field,
                _ if Some(nth) == self.op => op = field,
                _ => {}
            }
        }
        let at = stamp(&at.ok_or(Flaw::Fields)?).ok_or(Flaw::Seconds)?;
        let key = key.ok_or(Flaw::Fields)?;
        if key.is_empty() {
            return Err(Flaw::Key);
        }
        let is_write = op.is_some_and(|op| is_write(&op));
        Ok((!is_write).then(|| Access { at, key, client: client.unwrap_or_default() }))
    }
}

/// A number of seconds, exact to a microsecond as far as an `f64` goes.
fn stamp(field: &[u8]) -> Option<Stamp> {
    let seconds = str::from_utf8(field).ok()?.trim().parse().ok()?;
    Stamp::new(SignedDuration::try_from_secs_f64(seconds).ok()?)
}

fn is_write(op: &[u8]) -> bool {
    let op = op.trim_ascii();
    WRITES.iter().any(|write| op.eq_ignore_ascii_case(write.as_bytes()))
}

/// The fields of a line, without their quotes.
struct Fields<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Cow<'a, [u8]>, Flaw>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.take()?;
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            return Some(self.quoted(quoted).map(Cow::Owned));
        }
        let mut parts = rest.splitn(2, |byte| *byte == b',');
        let field = parts.next()?;
        self.0 = parts.next();
        Some(Ok(Cow::Borrowed(field)))
    }
}

impl<'a> Fields<'a> {
    /// A field whose first quote has been taken off. Two quotes within it stand for one.
    fn quoted(&mut self, mut rest: &'a [u8]) -> Result<Vec<u8>, Flaw> {
        let mut field = Vec::new();
        loop {
            let mut parts = rest.splitn(2, |byte| *byte == b'"');
            field.extend(parts.next().unwrap_or_default());
            let after = parts.next().ok_or(Flaw::Quote)?;
            match after.split_first() {
                None => return Ok(field),
                Some((b',', next)) => {
                    self.0 = Some(next);
                    return Ok(field);
                }
                Some((b'"', more)) => {
                    field.push(b'"');
                    rest = more;
                }
                Some(_) => return Err(Flaw::Quote),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"timestamp_s,key,client,op,size,ttl";

    /// What a line says: microseconds since the line `0,k`, key and client.
    fn said(header: &[u8], line: &[u8]) -> Result<Option<(i128, String, String)>, Flaw> {
        let columns = Columns::of(header).unwrap().unwrap();
        let zero = columns.parse(b"0,0,0,,,").unwrap().unwrap().at;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let micros = |at: Stamp| i128::try_from(at.0.as_micros()).unwrap();
        Ok(columns.parse(line)?.map(|access| {
            (micros(access.at) - micros(zero), text(&access.key), text(&access.client))
        }))
    }

    #[test]
    fn columns_are_found_by_name() {
        let found = |timestamp, key, client, op| Ok(Some(Columns { timestamp, key, client, op }));
        for (header, expected) in [
            ("timestamp_s,key,client,op,size,ttl", found(0, 1, Some(2), Some(3))),
            ("key,timestamp_s", found(1, 0, None, None)),
            ("id, Key ,\"client\",TIMESTAMP_S", found(3, 1, Some(2), None)),
            ("\u{feff}timestamp_s,key", found(0, 1, None, None)),
            ("timestamp,key", Err("timestamp_s")),
            ("timestamp_s;key,op", Ok(None)),
            ("timestamp_s,id", Err("key")),
            ("", Ok(None)),
            ("1.0,2", Ok(None)),
        ] {
            assert_eq!(Columns::of(header.as_bytes()), expected, "{header:?}");
        }
    }

    #[test]
    fn lines_say_who_read_what_and_when() {
        for (line, micros, key, client) in [
            ("0,user:7,c1,get,1,", 0, "user:7", "c1"),
            ("1.5,k,,,,", 1_500_000, "k", ""),
            (" 0.010 ,k,c,GET,1,", 10_000, "k", "c"),
            ("-2,k,c,op2a,1,", -2_000_000, "k", "c"),
            ("1.7e9,k,c,read,1,", 1_700_000_000_000_000, "k", "c"),
            ("\"3\",\"a,b\",\"c \"\"x\"\"\",get,,", 3_000_000, "a,b", "c \"x\""),
            ("1,k", 1_000_000, "k", ""),
            ("1,k,c,get,1,2,3,4", 1_000_000, "k", "c"),
        ] {
            let expected = Ok(Some((micros, key.to_owned(), client.to_owned())));
            assert_eq!(said(HEADER, line.as_bytes()), expected, "{line:?}");
        }
    }

    #[test]
    fn writes_are_no_reads() {
        for op in ["set", "PUT", "delete", " write "] {
            let line = format!("1,k,c,{op},1,");
            assert_eq!(said(HEADER, line.as_bytes()), Ok(None), "{op:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, flaw) in [
            ("1", Flaw::Fields),
            ("", Flaw::Seconds),
            ("1,,c,get,1,", Flaw::Key),
            ("now,k", Flaw::Seconds),
            ("nan,k", Flaw::Seconds),
            ("inf,k", Flaw::Seconds),
            ("1700000000000,k", Flaw::Seconds),
            ("1,\"k", Flaw::Quote),
            ("1,\"k\"x,c", Flaw::Quote),
            ("1,k,\"", Flaw::Quote),
        ] {
            assert_eq!(said(HEADER, line.as_bytes()), Err(flaw), "{line:?}");
        }
        assert_eq!(said(HEADER, b"1,k\xff,\xfe").map(|read| read.is_some()), Ok(true));
        assert_eq!(said(HEADER, b"1\xff,k"), Err(Flaw::Seconds));
    }
}
