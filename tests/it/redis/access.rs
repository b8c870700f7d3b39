//! Who may use a server, and over what.

use std::error::Error as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::*;
use crate::l2::log::Log;

/// An authority, and a certificate of it for `localhost`.
struct Authority(TempDir);

impl Authority {
    fn new() -> Self {
        let authority = Self(tempfile::tempdir().unwrap());
        let new_key = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        authority
            .openssl(&format!("{new_key} -x509 -subj /CN=authority -keyout ca.key -out ca.pem"));
        authority
            .openssl(&format!("{new_key} -subj /CN=localhost -keyout server.key -out server.csr"));
        std::fs::write(authority.0.path().join("names"), "subjectAltName=DNS:localhost").unwrap();
        authority.openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names \
             -out server.pem",
        );
        authority
    }

    fn openssl(&self, words: &str) {
        let mut openssl = Command::new("openssl");
        openssl.args(words.split_whitespace()).current_dir(self.0.path());
        let status = openssl.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "openssl {words}");
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// A server that speaks TLS, and its port for that.
    async fn server(&self) -> (RedisServer, u16) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let options = lab::RedisOptions::default()
            .setting("tls-port", port.to_string())
            .setting("tls-cert-file", self.path("server.pem"))
            .setting("tls-key-file", self.path("server.key"))
            .setting("tls-auth-clients", "no");
        (RedisServer::launch(options).await.unwrap(), port)
    }
}

#[tokio::test]
async fn a_certificate_of_the_given_authority_is_accepted() {
    let authority = Authority::new();
    let (server, port) = authority.server().await;
    let options = RedisOptions::new(format!("rediss://localhost:{port}"));
    let place = Place::at(options.ca_file(authority.path("ca.pem")));
    let world = World { server, tier: place.open().await, place };
    load(&world.tier, KEY, b"Ada").await;
    all_work(&world.tier).await;
    let channel = format!("{}:changed", world.place.namespace);
    until(async || {
        let counts: (String, usize) =
            world.command(cmd("PUBSUB").arg("NUMSUB").arg(&channel)).await;
        counts.1 == 1
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_is_not_to_be_trusted_is_refused() {
    let authority = Authority::new();
    let (_server, port) = authority.server().await;
    let other = Authority::new();
    let at = |host: &str| RedisOptions::new(format!("rediss://{host}:{port}"));
    for (why, options) in [
        ("of another authority", at("localhost").ca_file(other.path("ca.pem"))),
        ("of no public authority", at("localhost")),
        ("for another name", at("127.0.0.1").ca_file(authority.path("ca.pem"))),
    ] {
        let tier = Place::at(options).open().await;
        let error = tier.poll(&Cursor::default()).await.unwrap_err();
        let error = error.source().unwrap().to_string();
        assert!(error.contains("certificate"), "{why}: {error}");
    }
}

/// The error of a tier whose server does not let it in, and what is logged of it.
async fn refused(options: RedisOptions) -> (String, String) {
    let log = Log::new();
    let tier = Place::at(options).open().await;
    all_fail(&tier).await;
    let error = tier.poll(&Cursor::default()).await.unwrap_err();
    (format!("{error:?} {error} {}", error.source().unwrap()), format!("{tier:?} {}", log.text()))
}

#[tokio::test]
async fn a_wrong_password_is_reported_and_shown_nowhere() {
    let options = lab::RedisOptions::default().password("right");
    let server = RedisServer::launch(options).await.unwrap();
    let addr = server.addr();
    for (url, word) in [("redis://:CANARY@", "Password"), ("redis://ada:CANARY@", "WRONGPASS")] {
        let (error, log) = refused(RedisOptions::new(format!("{url}{addr}"))).await;
        assert!(!error.contains("CANARY"), "{error}");
        assert!(!log.contains("CANARY"), "{log}");
        assert!(log.contains("see that user and password are right"), "{word}: {log}");
    }
    let (_error, log) = refused(RedisOptions::new(format!("redis://{addr}"))).await;
    assert!(log.contains("see that user and password are right"), "{log}");
    let tier = RedisTier::open(server.url()).await.unwrap();
    all_work(&tier).await;
}

#[tokio::test]
async fn a_user_without_the_rights_is_reported() {
    let options = lab::RedisOptions::default().user("ada", "on >secret ~* &* +@all -eval -evalsha");
    let server = RedisServer::launch(options).await.unwrap();
    let url = format!("redis://ada:secret@{}", server.addr());
    let (error, log) = refused(RedisOptions::new(url)).await;
    assert!(error.contains("NoPerm"), "{error}");
    assert!(log.contains("acl_rule"), "{log}");
}

#[tokio::test]
async fn neither_keys_nor_values_are_logged() {
    let log = Log::new();
    let world = World::new().await;
    load(&world.tier, "p:user:CANARY", b"CANARY").await;
    invalidate(&world.tier, "p:user:CANARY").await.unwrap();
    world.server.kill().unwrap();
    invalidate(&world.tier, "p:user:CANARY").await.unwrap_err();
    until(async || {
        log.count(&["cannot be used"]) > 0 || invalidate(&world.tier, KEY).await.is_ok()
    })
    .await;
    assert!(!log.text().contains("CANARY"), "{}", log.text());
}

#[tokio::test]
async fn a_server_that_may_evict_anything_is_warned_of_once() {
    for (policy, warnings) in [("allkeys-lru", 1), ("allkeys-random", 1), ("volatile-ttl", 0)] {
        let log = Log::new();
        let options = lab::RedisOptions::default().max_memory(100 << 20, policy);
        let world = World::with(options).await;
        let others = [world.place.open().await, world.place.open().await];
        drop(others);
        let _killed: usize = world.command(&command("CLIENT KILL TYPE normal SKIPME yes")).await;
        world.is_back().await;
        // Each tier says it once.
        assert_eq!(log.count(&["may evict", policy]), 3 * warnings, "{policy}: {}", log.text());
    }
}

#[tokio::test]
async fn two_namespaces_on_one_server_do_not_meet() {
    let world = World::new().await;
    let other = Place::at(RedisOptions::new(world.server.url())).open().await;
    load(&world.tier, KEY, b"one").await;
    load(&other, KEY, b"two").await;
    world.tier.invalidate(NODE, &[Selector::Resource("p:user").into()]).await.unwrap();
    assert_eq!(value(&world.tier, KEY).await, None);
    assert_eq!(value(&other, KEY).await.unwrap(), b"two");
    assert_eq!(world.tier.size().await.unwrap().entries, 0);
    assert_eq!(other.size().await.unwrap().entries, 1);
    assert!(poll(&other, &Cursor::default()).await.changes.is_empty());
}
