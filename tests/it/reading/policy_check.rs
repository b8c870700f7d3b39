//! C20: a policy that cannot work is refused, and the error says which setting and what would do.

use std::time::Duration;

use forewarm::{Bytes, Capacity, Classic, EarlyRefresh, Error, Policy, PreloadMode, SourcePolicy};

use super::source::{Source, engine, put, secs};

type Spoil = fn(&mut Policy);

fn classic(change: fn(&mut Classic)) -> PreloadMode {
    let mut terms = Classic::default();
    change(&mut terms);
    PreloadMode::Classic(terms)
}

/// The setting, what is done to it, and what the error must say.
const CASES: [(&str, Spoil, &str); 36] = [
    ("ttl", |p| p.ttl = Duration::ZERO, "is zero: use a span such as `30s`"),
    (
        "ttl",
        |p| (p.ttl, p.refresh_every) = (secs(59), Some(secs(30))),
        "less than twice `refresh_every` (30s): use 60s or more",
    ),
    ("ttl", |p| p.refresh_every = Some(Duration::MAX), "less than twice `refresh_every`"),
    ("absent_ttl", |p| p.absent_ttl = Some(Duration::ZERO), "is zero"),
    ("stale_while_revalidate", |p| p.stale_while_revalidate = Some(Duration::ZERO), "is zero"),
    ("stale_if_error", |p| p.stale_if_error = Some(Duration::ZERO), "is zero"),
    ("refresh_every", |p| p.refresh_every = Some(Duration::ZERO), "is zero"),
    ("refresh_spacing", |p| p.refresh_spacing = Some(Duration::ZERO), "is zero"),
    ("refresh_spacing", |p| p.refresh_spacing = Some(p.ttl), "is not shorter than `ttl`"),
    ("lead", |p| p.lead = Some(p.ttl), "is not shorter than `ttl`"),
    ("jitter", |p| p.jitter = 0.51, "use 0 to 0.5"),
    ("jitter", |p| p.jitter = -0.1, "use 0 to 0.5"),
    ("jitter", |p| p.jitter = f64::NAN, "use 0 to 0.5"),
    ("early_refresh", |p| p.early_refresh = Some(EarlyRefresh::After(1.0)), "between 0 and 1"),
    ("early_refresh", |p| p.early_refresh = Some(EarlyRefresh::After(0.0)), "between 0 and 1"),
    (
        "early_refresh.scale",
        |p| p.early_refresh = Some(EarlyRefresh::XFetch { scale: Duration::ZERO }),
        "is zero",
    ),
    ("half_life", |p| p.half_life = Duration::ZERO, "is zero"),
    ("capacity", |p| p.capacity = Bytes::mib(0).into(), "is zero: use `64 MiB` or the like"),
    ("capacity", |p| p.capacity = Capacity::Entries(0), "is zero"),
    ("key_bytes_max", |p| p.key_bytes_max = 0, "use 1 to 1024"),
    ("key_bytes_max", |p| p.key_bytes_max = 1_025, "use 1 to 1024"),
    ("value_bytes_max", |p| p.value_bytes_max = 0, "use 1 to"),
    ("tracked_keys", |p| p.tracked_keys = 0, "use 1 to"),
    ("hot_share", |p| p.hot_share = 0.0, "use 0.05 to 1"),
    ("staging_share", |p| p.staging_share = 0.6, "use 0 to 0.5"),
    ("ends_at_midnight", |p| p.ends_at_midnight = Some("Mars/Olympus".into()), "Europe/Berlin"),
    ("preload.threshold", |p| p.preload.threshold = 0.0, "more than 0 and at most 1"),
    ("preload.loads_per_second", |p| p.preload.loads_per_second = f64::INFINITY, "positive"),
    ("preload.burst", |p| p.preload.burst = 0, "use 1 to"),
    (
        "preload.mode.interval",
        |p| p.preload.mode = classic(|terms| terms.interval = secs(4)),
        "use `5s` or more",
    ),
    ("source.deadline", |p| p.source.deadline = Duration::ZERO, "is zero"),
    ("source.concurrency", |p| p.source.concurrency = 0, "use 1 to"),
    ("source.preload_share", |p| p.source.preload_share = 0.0, "is 0"),
    ("source.attempts", |p| p.source.attempts = 0, "use 1 to 100"),
    ("source.backoff_max", |p| p.source.backoff_max = Duration::from_nanos(1), "`backoff_min`"),
    ("source.breaker_failures", |p| p.source.breaker_failures = 0, "use 1 to"),
];

/// C20: no resource can be declared with a policy that cannot work; the error names the setting,
/// what is wrong with it, and what would be right.
#[tokio::test(start_paused = true)]
async fn what_cannot_work_is_refused_by_name_and_with_a_remedy() {
    let forewarm = engine().await;
    for (field, spoil, says) in CASES {
        let mut policy = Policy::default();
        spoil(&mut policy);
        let resource = forewarm.resource::<u64, u64>("user").policy(policy.clone());
        let error = resource.loader(Source::new()).build().unwrap_err();
        let Error::Config(error) = error else { panic!("{field}: {error:?}") };
        assert_eq!(error.field(), format!("user.{field}"), "{error}");
        let message = error.to_string();
        assert!(message.starts_with(&format!("`user.{field}` ")), "{message}");
        assert!(message.contains(says), "{field}: {message}");
        assert_eq!(policy.check("user"), Err(error), "{field}");
    }
    // None of them has taken the name.
    let resource = forewarm.resource::<u64, u64>("user").loader(Source::new());
    assert!(resource.build().is_ok());
}

/// C20: the bounds themselves work, and a resource with them does too.
#[tokio::test(start_paused = true)]
async fn what_is_just_allowed_works() {
    let works: [(&str, Spoil); 8] = [
        ("ttl", |p| (p.ttl, p.refresh_every) = (secs(60), Some(secs(30)))),
        ("jitter", |p| p.jitter = 0.5),
        ("no jitter", |p| p.jitter = 0.0),
        ("long ttl", |p| p.ttl = Duration::MAX),
        ("long stale", |p| p.stale_if_error = Some(Duration::MAX)),
        ("one entry", |p| p.capacity = Capacity::Entries(1)),
        ("key_bytes_max", |p| p.key_bytes_max = 1_024),
        ("XFetch", |p| p.early_refresh = Some(EarlyRefresh::XFetch { scale: Duration::MAX })),
    ];
    let forewarm = engine().await;
    for (name, change) in works {
        let mut policy = Policy { jitter: 0.1, ..Policy::default() };
        change(&mut policy);
        let resource = forewarm.resource::<u64, u64>(name).policy(policy).loader(Source::new());
        let items = resource.build().unwrap();
        assert_eq!(items.get(&1).await.unwrap().as_deref(), Some(&0), "{name}");
        put(&items, 1, 1).await;
        assert_eq!(items.get(&1).await.unwrap().as_deref(), Some(&1), "{name}");
    }
}

/// C20: settings that are misspelt, at any depth, or that are of the wrong kind, are named.
#[test]
fn settings_that_do_not_exist_are_refused_and_named() {
    for (text, says) in [
        (r#"{"tll": "10m"}"#, "`tll`"),
        (r#"{"source": {"deadlin": "1s"}}"#, "`deadlin`"),
        (r#"{"preload": {"treshold": 0.5}}"#, "`treshold`"),
        (r#"{"preload": {"mode": {"classic": {"decay": 0.9}}}}"#, "`decay`"),
        (r#"{"preload": {"mode": "always"}}"#, "`always`"),
        (r#"{"store": "disk"}"#, "`disk`"),
        (r#"{"capacity": "64 MB"}"#, "64 MiB"),
        (r#"{"early_refresh": {"x_fetch": {"scale": "1s", "beta": 1}}}"#, "`beta`"),
    ] {
        let error = serde_json::from_str::<Policy>(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    for text in [r#"{"ttl": 600}"#, r#"{"ttl": "-1s"}"#, r#"{"ttl": "soon"}"#] {
        assert!(serde_json::from_str::<Policy>(text).is_err(), "{text}");
    }
}

/// C20: what is left out of a configuration is the default.
#[test]
fn what_is_left_out_is_the_default() {
    let text = r#"{"ttl": "60s", "source": {"attempts": 5}}"#;
    let policy: Policy = serde_json::from_str(text).unwrap();
    let source = SourcePolicy { attempts: 5, ..SourcePolicy::default() };
    assert_eq!(policy, Policy { ttl: secs(60), source, ..Policy::default() });
    let again = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&again).unwrap(), policy);
}
