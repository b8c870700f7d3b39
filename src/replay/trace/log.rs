//! Requests in the log of a web server, in the common or the combined format.

use std::borrow::Cow;

use jiff::Timestamp;

use super::line::{Access, Flaw, Stamp};

/// The longest time in brackets that is looked at; it is 26 bytes long as servers write it.
const TIME_BYTES_MAX: usize = 40;

/// Reads a line such as
/// `host ident user [10/Oct/2000:13:55:36 -0700] "GET /path?q HTTP/1.0" 200 2326 "referer" "agent"`;
/// gives `None` if it is not an answered `GET` or `HEAD`.
///
/// The key is the path with its query, the client is the host. What follows the status is not
/// looked at, so it does not matter what agents call themselves.
pub(super) fn parse(line: &[u8]) -> Result<Option<Access<'_>>, Flaw> {
    let mut parts = line.splitn(2, |byte| *byte == b' ');
    let host = parts.next().unwrap_or_default();
    let (at, rest) = time(parts.next().unwrap_or_default()).ok_or(Flaw::Time)?;
    let (request, status) = request(rest).ok_or(Flaw::Request)?;
    if !matches!(status, 200..=299 | 304) {
        return Ok(None);
    }
    let client = if host == b"-" { &[] } else { host };
    let (key, client) = (path(request).map(Cow::Borrowed), Cow::Borrowed(client));
    Ok(key.map(|key| Access { at, key, client }))
}

/// The first time in brackets, and what follows it. The name of a user may hold brackets too.
fn time(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let mut rest = line;
    loop {
        let open = rest.iter().position(|byte| *byte == b'[')?;
        rest = rest.get(open + 1..)?;
        let Some(length) = rest.iter().take(TIME_BYTES_MAX).position(|byte| *byte == b']') else {
            continue;
        };
        if let Some(at) = rest.get(..length).and_then(stamp) {
            return Some((at, rest.get(length + 1..)?));
        }
    }
}

fn stamp(time: &[u8]) -> Option<Stamp> {
    let time = Timestamp::strptime("%d/%b/%Y:%H:%M:%S %z", time).ok()?;
    Stamp::new(time.as_duration())
}

/// The request in quotes and the status after it.
///
/// Quotes within the request are escaped, or not, depending on the server; so it ends where a
/// status follows.
fn request(line: &[u8]) -> Option<(&[u8], u16)> {
    let line = line.strip_prefix(b" \"")?;
    let mut is_escaped = false;
    for (nth, byte) in line.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => {
                if let Some(status) = status(line.get(nth + 1..)?) {
                    return Some((line.get(..nth)?, status));
                }
            }
            _ => {}
        }
    }
    None
}

fn status(line: &[u8]) -> Option<u16> {
    let word = line.strip_prefix(b" ")?.split(|byte| *byte == b' ').next()?;
    let is_status = word.len() == 3 && word.iter().all(u8::is_ascii_digit);
    if is_status { str::from_utf8(word).ok()?.parse().ok() } else { None }
}

/// What a `GET` or `HEAD` asked for.
fn path(request: &[u8]) -> Option<&[u8]> {
    let rest = request.strip_prefix(b"GET ").or_else(|| request.strip_prefix(b"HEAD "))?;
    let mut parts = rest.trim_ascii_end().rsplitn(2, |byte| *byte == b' ');
    let path = match (parts.next()?, parts.next()) {
        (version, Some(path)) if version.starts_with(b"HTTP/") => path,
        // HTTP/0.9 knows no version; and nobody keeps bots from sending spaces.
        _ => rest,
    };
    (!path.is_empty()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "[10/Oct/2000:13:55:36 -0700]";

    /// What a line says: the time, key and client.
    fn said(line: &[u8]) -> Result<Option<(Stamp, String, String)>, Flaw> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(parse(line)?.map(|access| (access.at, text(&access.key), text(&access.client))))
    }

    #[test]
    fn lines_of_either_format_say_who_read_what() {
        let usual = r#""http://example.com/" "Mozilla/4.08 [en] (Win98; \"I\")""#;
        for (line, key, client) in [
            (format!(r#"h - - {TIME} "GET / HTTP/1.0" 200 2326"#), "/", "h"),
            (format!(r#"::1 - bob {TIME} "HEAD /a?b=c HTTP/1.1" 304 - {usual}"#), "/a?b=c", "::1"),
            (format!(r#"- - - {TIME} "GET /a HTTP/2.0" 206 5 {usual}"#), "/a", ""),
            (format!(r#"h - [a b] "x" {TIME} "GET /a HTTP/1.1" 200 5"#), "/a", "h"),
            (format!(r#"h - - {TIME} "GET /a\" 404 b HTTP/1.1" 200 5"#), r#"/a\" 404 b"#, "h"),
            (format!(r#"h - - {TIME} "GET /a\\" 200 5 {usual}"#), r"/a\\", "h"),
            (format!(r#"h - - {TIME} "GET /a"b" HTTP/1.1" 200 5"#), r#"/a"b""#, "h"),
            (format!(r#"h - - {TIME} "GET /a b c HTTP/1.1" 200 5"#), "/a b c", "h"),
            (format!(r#"h - - {TIME} "GET /old" 200 5"#), "/old", "h"),
            (format!(r#"h - - {TIME} "GET /a HTTP/1.1" 200"#), "/a", "h"),
        ] {
            let (_, said_key, said_client) = said(line.as_bytes()).unwrap().unwrap();
            assert_eq!((said_key.as_str(), said_client.as_str()), (key, client), "{line}");
        }
    }

    #[test]
    fn lines_that_say_that_nothing_was_read_are_skipped() {
        for line in [
            r#""POST /a HTTP/1.1" 200 5"#,
            r#""GET /a HTTP/1.1" 404 5"#,
            r#""GET /a HTTP/1.1" 301 5"#,
            r#""GET /a HTTP/1.1" 500 5"#,
            r#""GET /a HTTP/1.1" 000 5"#,
            r#""get /a HTTP/1.1" 200 5"#,
            r#""GET  HTTP/1.1" 200 5"#,
            r#""GET" 200 5"#,
            r#""-" 408 -"#,
            r#""" 400 0 "-" "-""#,
            r#""\x16\x03\x01\x02" 400 157 "-" "-""#,
        ] {
            let line = format!("h - - {TIME} {line}");
            assert_eq!(said(line.as_bytes()), Ok(None), "{line}");
        }
        let garbage = [b"h - - [10/Oct/2000:13:55:36 -0700] \"\xff\x00\x16\" 400 0".as_slice()];
        assert_eq!(said(&garbage.concat()), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, flaw) in [
            (String::new(), Flaw::Time),
            (r#" "curl/7.54.0""#.into(), Flaw::Time),
            (r#"h - - [10/Oct/2000:13:55:36] "GET / HTTP/1.0" 200 1"#.into(), Flaw::Time),
            (r#"h - - [32/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1"#.into(), Flaw::Time),
            (r#"h - - [10/Oct/2000:13:55:36 -0700"#.into(), Flaw::Time),
            ("h - - [[[[]]]".into(), Flaw::Time),
            (format!("h - - {TIME}"), Flaw::Request),
            (format!("h - - {TIME} GET / 200"), Flaw::Request),
            (format!(r#"h - - {TIME} "GET / HTTP/1.0"#), Flaw::Request),
            (format!(r#"h - - {TIME} "GET / HTTP/1.0" ok"#), Flaw::Request),
            (format!(r#"h - - {TIME} "GET / HTTP/1.0" 2000 1"#), Flaw::Request),
        ] {
            assert_eq!(said(line.as_bytes()), Err(flaw), "{line:?}");
        }
    }

    #[test]
    fn time_zones_count() {
        let at = |time: &str| {
            said(format!(r#"h - - [{time}] "GET / HTTP/1.0" 200 1"#).as_bytes()).unwrap().unwrap().0
        };
        let utc = at("10/Oct/2000:20:55:36 +0000");
        for time in ["10/Oct/2000:13:55:36 -0700", "11/Oct/2000:02:25:36 +0530"] {
            assert_eq!(at(time), utc, "{time}");
        }
        assert_eq!((at("10/Oct/2000:20:55:37 +0000").0 - utc.0).as_secs(), 1);
    }
}
