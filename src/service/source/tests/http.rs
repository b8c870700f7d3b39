//! What is particular to servers that speak HTTP: each test has one on the loopback.

use std::net::SocketAddr;
use std::sync::Arc;

use ::http::{HeaderMap, StatusCode, Uri, header};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::json;

use super::*;

/// A server that notes what it is asked, and answers as the test says.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<(Uri, HeaderMap)>>>,
    serving: tokio::task::AbortHandle,
}

impl Server {
    async fn answering<R: IntoResponse>(
        answer: impl Fn(&Uri, &HeaderMap) -> R + Clone + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let app = Router::new().fallback(move |uri: Uri, headers: HeaderMap| {
            let response = answer(&uri, &headers).into_response();
            noted.lock().push((uri, headers));
            std::future::ready(response)
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        let serving = tasks.spawn(async move { drop(axum::serve(listener, app).await) });
        tasks.detach_all();
        Self { address, asked, serving }
    }

    fn source(&self, more: &str) -> Source {
        open(&format!("http = {{ url = 'http://{}/v2', {more} }}", self.address))
    }

    /// What was asked for since the last time.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().drain(..).map(|(uri, _)| uri.to_string()).collect()
    }
}

/// A secret where it should be, in a file.
fn secret(text: &str) -> (TempDir, String) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("secret");
    std::fs::write(&path, text).unwrap();
    (home, format!("{{ file = {path:?} }}"))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn path(path: &str) -> LoadParts<'_> {
    LoadParts { path: Some(path), ..LoadParts::default() }
}

#[tokio::test]
async fn a_document_is_what_the_server_answers() {
    let server = Server::answering(|_, _| "{ \"price\": 1.50 }").await;
    let (_home, secret) = secret("Bearer s3cret");
    let source = server.source(&format!("headers = {{ authorization = {secret}, from = 'a' }}"));
    let quotes = resource(&source, path("/quote/{id}/now")).await;
    let document = quotes.get("BRK.B").await.unwrap().unwrap();
    assert_eq!(document.body(), "{ \"price\": 1.50 }");
    let (uri, headers) = server.asked.lock().pop().unwrap();
    assert_eq!(uri, "/v2/quote/BRK.B/now");
    assert_eq!(headers["authorization"], "Bearer s3cret");
    assert_eq!(headers["from"], "a");
    assert_eq!(headers["accept"], "application/json");
    assert!(!format!("{source:?}").contains("s3cret"));
    let at = source.collect("/faq", false).await.unwrap();
    assert_eq!(
        (at, server.asked()),
        ("{ \"price\": 1.50 }".to_owned(), vec!["/v2/faq".to_owned()])
    );
    source.ping().await.unwrap();
}

#[tokio::test]
async fn no_key_asks_for_anything_but_itself() {
    let server = Server::answering(|uri, _| json!(uri.to_string()).to_string()).await;
    let source = server.source("");
    let by_path = resource(&source, path("/quote/{id}/now")).await;
    let by_value = resource(&source, path("/quote?symbol={id}&now=1")).await;
    let keys = [
        "../../admin",
        "/",
        "//evil.example",
        "http://evil.example",
        "@evil.example",
        "a/../b",
        "..%2f..%2fadmin",
        "%2e%2e",
        "%00",
        "?x=1",
        "&now=2",
        "=",
        "#top",
        ";a=1",
        "a b",
        "+",
        "\\..\\admin",
        "\r\nX: 1",
        "\0",
        "\t",
        "é",
        "\u{ff0f}",
        "\u{2025}",
        "{id}",
        ":80",
        "[::1]",
    ];
    for key in keys {
        in_time(value(&by_path, key)).await.unwrap();
        in_time(value(&by_value, key)).await.unwrap();
        let asked = server.asked();
        let [at, of] = &asked[..] else { panic!("{key:?}: {asked:?}") };
        let encoded = at.strip_prefix("/v2/quote/").and_then(|at| at.strip_suffix("/now")).unwrap();
        assert!(!encoded.contains(['/', '?', '#', '&', '=', ' ', '\\']), "{key:?}: {at}");
        assert_eq!(of, &format!("/v2/quote?symbol={encoded}&now=1"));
        let decoded = percent_encoding::percent_decode_str(encoded).decode_utf8().unwrap();
        assert_eq!(decoded, key);
    }
    for key in ["", ".", ".."] {
        assert_eq!(value(&by_path, key).await, None, "{key:?}");
    }
    assert!(server.asked().is_empty(), "what is nowhere is not asked for");
}

#[tokio::test]
async fn statuses_are_told_apart() {
    let server = Server::answering(|uri, _| {
        let status = uri.path().rsplit('/').next().unwrap().parse::<u16>().unwrap();
        (StatusCode::from_u16(status).unwrap(), [(header::RETRY_AFTER, "9")], "\"s3cret\"")
    })
    .await;
    let quotes = resource(&server.source(""), path("/{id}")).await;
    for key in ["404", "410"] {
        assert_eq!(value(&quotes, key).await, None, "{key}");
    }
    for (is_transient, keys) in [
        (true, &["408", "425", "429", "500", "502", "503", "504"][..]),
        (false, &["300", "302", "304", "400", "401", "403", "405", "409", "418", "451"]),
    ] {
        for key in keys {
            let error = quotes.get(*key).await.unwrap_err();
            assert_eq!(error.is_transient(), is_transient, "{}", said(&error));
            let said = said(&error);
            assert!(said.contains(key) && !said.contains("s3cret"), "{said}");
        }
    }
}

#[tokio::test]
async fn what_is_no_json_or_too_large_fails_for_good_and_says_nothing_of_it() {
    let server = Server::answering(|uri, _| {
        let stream = |parts: usize| {
            let part = || Ok::<_, std::io::Error>(axum::body::Bytes::from("1".repeat(64)));
            Body::from_stream(futures_util::stream::iter((0..parts).map(move |_| part())))
        };
        match uri.path() {
            "/v2/html" => Body::from("<html>s3cret</html>"),
            "/v2/empty" => Body::empty(),
            "/v2/deep" => Body::from("[".repeat(200) + &"]".repeat(200)),
            "/v2/large" => Body::from(format!("\"{}\"", "s3cret".repeat(1000))),
            // Without a length, and without an end that anybody should wait for.
            "/v2/endless" => stream(1_000_000),
            "/v2/fits" => Body::from(format!("\"{}\"", "x".repeat(1022))),
            _ => Body::from(format!("\"{}\"", "x".repeat(1023))),
        }
    })
    .await;
    let quotes = resource(&server.source("body_bytes_max = '1 KiB'"), path("/{id}")).await;
    assert!(value(&quotes, "fits").await.is_some(), "exactly what is allowed");
    for key in ["html", "empty", "deep", "large", "endless", "more"] {
        let error = in_time(quotes.get(key)).await.unwrap_err();
        assert!(!error.is_transient() && !said(&error).contains("s3cret"), "{}", said(&error));
        let is_too_large = ["large", "endless", "more"].contains(&key);
        assert_eq!(said(&error).contains("1024 bytes"), is_too_large, "{}", said(&error));
    }
}

#[tokio::test]
async fn a_document_that_has_not_changed_is_not_sent_again() {
    let server = Server::answering(|_, headers| -> Response {
        let etag = [(header::ETAG, "W/\"7\"")];
        match headers.get(header::IF_NONE_MATCH) {
            Some(held) if held == "W/\"7\"" => (StatusCode::NOT_MODIFIED, etag).into_response(),
            Some(_) => StatusCode::BAD_REQUEST.into_response(),
            None => (etag, "[1]").into_response(),
        }
    })
    .await;
    let quotes = resource(&server.source(""), path("/{id}")).await;
    let first = quotes.get("a").await.unwrap().unwrap();
    assert_eq!(first.source_etag(), Some("W/\"7\""));
    let refreshed = quotes.read("a", &crate::ReadOptions::new().refresh()).await.unwrap();
    let again = refreshed.value.unwrap();
    assert_eq!(*again, *first);
    assert_eq!(server.asked(), ["/v2/a", "/v2/a"]);
}

#[tokio::test]
async fn what_must_not_be_stored_is_asked_for_each_time() {
    let server = Server::answering(|uri, _| {
        let said = if uri.path() == "/v2/kept" { "no-cache" } else { "private, No-Store" };
        ([(header::CACHE_CONTROL, said)], "1")
    })
    .await;
    let quotes = resource(&server.source(""), path("/{id}")).await;
    for (key, times) in [("kept", 1), ("secret", 2)] {
        for _ in 0..2 {
            assert_eq!(value(&quotes, key).await, Some(json!(1)));
        }
        assert_eq!(server.asked().len(), times, "{key}");
    }
}

#[tokio::test]
async fn redirects_to_others_are_not_followed() {
    let other = Server::answering(|_, _| "1").await;
    let elsewhere = format!("http://{}/", other.address);
    let server = Server::answering(move |uri, _| -> Response {
        let to =
            |to: &str| (StatusCode::FOUND, [(header::LOCATION, to.to_owned())]).into_response();
        match uri.path() {
            "/v2/here" => to("/v2/there"),
            "/v2/there" => "2".into_response(),
            "/v2/round" => to("/v2/round"),
            "/v2/away" => to("/v2/farther"),
            _ => to(&elsewhere),
        }
    })
    .await;
    let (_home, secret) = secret("s3cret");
    let source = server.source(&format!("headers = {{ authorization = {secret} }}"));
    let quotes = resource(&source, path("/{id}")).await;
    assert_eq!(value(&quotes, "here").await, Some(json!(2)));
    for key in ["out", "away", "round"] {
        let error = in_time(quotes.get(key)).await.unwrap_err();
        assert!(!error.is_transient() && said(&error).contains("302"), "{}", said(&error));
    }
    assert!(other.asked().is_empty());
    assert!(server.asked().len() < 20, "round and round");
}

#[tokio::test]
async fn a_server_that_is_silent_or_gone_may_come_back() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [silent.local_addr().unwrap(), free] {
        let source = open(&format!("http = {{ url = 'http://{address}', timeout = '300ms' }}"));
        let quotes = resource(&source, path("/s3cret/{id}")).await;
        let error = in_time(quotes.get("s3cret")).await.unwrap_err();
        assert!(error.is_transient() && !said(&error).contains("s3cret"), "{}", said(&error));
        assert!(in_time(source.ping()).await.is_err());
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_may_be_whole_the_next_time() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let source = open(&format!("http = {{ url = 'http://{}' }}", listener.local_addr().unwrap()));
    let quotes = resource(&source, path("/{id}")).await;
    let serve = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut asked = [0; 1024];
        assert!(connection.read(&mut asked).await.unwrap() > 0);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[1, 2";
        connection.write_all(answer).await.unwrap();
    };
    let (error, ()) = in_time(async { tokio::join!(quotes.get("a"), serve) }).await;
    let error = error.unwrap_err();
    assert!(error.is_transient(), "{}", said(&error));
}

#[tokio::test]
async fn what_cannot_be_asked_is_told_before() {
    let source = open("http = { url = 'http://127.0.0.1:1/v2' }");
    for good in ["/quote/{id}", "/quote?symbol={id}", "/a%20b/{id}.json", "/{id}/{id}"] {
        source.check(&load(path(good))).await.unwrap();
    }
    for bad in ["/../{id}", "/a b/{id}", "/é/{id}", "/./{id}", "/\\{id}"] {
        let error = source.check(&load(path(bad))).await.unwrap_err();
        assert_eq!(field(&error), "path", "{bad}");
    }
    source.check_query(query("/faq", 0)).await.unwrap();
    assert!(source.check_query(query("/faq", 1)).await.is_err());
    assert!(source.check_query(query("select 1", 0)).await.is_err());
    assert!(source.keys("select 1").await.is_err());
    assert!(source.find("select $1")("x".into()).await.is_err());
    assert!(source.loader(&load(parts("select $1"))).is_err());
    let (_home, secret) = secret("s3cret\nand more");
    let two_lines = format!("http = {{ url = 'http://x', headers = {{ a = {secret} }} }}");
    for (expected, settings) in [
        ("url", "http = { url = 'ftp://x' }"),
        ("url", "http = { url = 'http://me:s3cret@x' }"),
        ("headers.a", "http = { url = 'http://x', headers = { a = 's3cret' } }"),
        ("headers.a", &two_lines),
        ("headers.a", "http = { url = 'http://x', headers = { a = { env = 'FOREWARM_NO' } } }"),
    ] {
        let error = Source::open("quotes", &toml::from_str(settings).unwrap()).unwrap_err();
        assert_eq!(field(&error), format!("sources.quotes.http.{expected}"));
        assert!(!said(&error).contains("s3cret"), "{}", said(&error));
    }
}
