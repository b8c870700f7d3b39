//! C20: entries that belong to a day end with it.

use forewarm::{Clock, Forewarm, Policy, ReadOptions, Resource};
use jiff::{SignedDuration, Timestamp};

use super::source::{Mood, Source, config, pass, peeked, plain, put, resource, secs, value};

/// A day in a zone: a moment in it, and its end.
struct Day {
    zone: &'static str,
    at: &'static str,
    midnight: &'static str,
}

const DAYS: [Day; 8] = [
    Day { zone: "UTC", at: "2024-02-28T20:00:00Z", midnight: "2024-02-29T00:00:00Z" },
    Day { zone: "UTC", at: "2024-02-29T00:00:00Z", midnight: "2024-03-01T00:00:00Z" },
    Day { zone: "Asia/Kathmandu", at: "2024-05-01T12:00:00Z", midnight: "2024-05-01T18:15:00Z" },
    // The day of 23 hours, and the one of 25.
    Day { zone: "Europe/Berlin", at: "2024-03-30T23:00:00Z", midnight: "2024-03-31T22:00:00Z" },
    Day { zone: "Europe/Berlin", at: "2024-10-26T22:00:00Z", midnight: "2024-10-27T23:00:00Z" },
    // The night before: the offset that holds now is not the one at midnight.
    Day { zone: "America/New_York", at: "2024-03-10T05:30:00Z", midnight: "2024-03-11T04:00:00Z" },
    // The day after begins at one o'clock, and the one in which midnight comes twice.
    Day { zone: "America/Sao_Paulo", at: "2018-11-03T20:00:00Z", midnight: "2018-11-04T03:00:00Z" },
    Day { zone: "America/Sao_Paulo", at: "2018-02-17T20:00:00Z", midnight: "2018-02-18T03:00:00Z" },
];

/// Lives for days, and is served stale for days, if it were not for midnight.
fn of_the_day(zone: &str) -> Policy {
    Policy {
        ttl: secs(72 * 3_600),
        stale_while_revalidate: Some(secs(72 * 3_600)),
        stale_if_error: Some(secs(72 * 3_600)),
        ends_at_midnight: Some(zone.into()),
        ..plain()
    }
}

async fn at(wall: &str, policy: Policy, source: &Source) -> (Forewarm, Resource<u64, u64>, Clock) {
    let clock = Clock::starting_at(wall.parse().unwrap());
    let builder = Forewarm::builder().clock(clock.clone()).config(config());
    let forewarm = builder.build().await.unwrap();
    let items = resource(&forewarm, "item", policy, source);
    (forewarm, items, clock)
}

impl Day {
    fn left(&self) -> std::time::Duration {
        let [at, midnight] =
            [self.at, self.midnight].map(|time| time.parse::<Timestamp>().unwrap());
        std::time::Duration::try_from(midnight.duration_since(at)).unwrap()
    }
}

/// C20: a day-scoped entry never survives local midnight: not fresh, not stale, and not because
/// the source fails. Days of 23 and 25 hours end at their midnight too.
#[tokio::test(start_paused = true)]
async fn an_entry_of_a_day_ends_at_local_midnight() {
    for day in DAYS {
        for source_fails in [false, true] {
            let case = format!("{} from {}, fails: {source_fails}", day.zone, day.at);
            let source = Source::new();
            let (_engine, items, clock) = at(day.at, of_the_day(day.zone), &source).await;
            value(&items, 1).await;
            put(&items, 2, 0).await;
            pass(day.left() - secs(1)).await;
            assert_eq!((peeked(&items, 1), peeked(&items, 2)), (Some(0), Some(0)), "{case}");
            pass(secs(1)).await;
            assert_eq!(clock.wall(), day.midnight.parse().unwrap(), "{case}");
            assert_eq!((peeked(&items, 1), peeked(&items, 2)), (None, None), "{case}");
            source.change();
            if source_fails {
                source.usually(Mood::Refuses);
            }
            for key in [1, 2] {
                let got = items.get(&key).await.ok().map(|value| *value.unwrap());
                assert_eq!(got, (!source_fails).then_some(1), "{case}");
            }
        }
    }
}

/// C20: the ttl is what it is where midnight is further away; it is not made longer.
#[tokio::test(start_paused = true)]
async fn midnight_makes_no_entry_live_longer() {
    let source = Source::new();
    let policy = Policy { ends_at_midnight: Some("UTC".into()), ..plain() };
    let (_engine, items, _clock) = at("2024-05-01T12:00:00Z", policy, &source).await;
    value(&items, 1).await;
    pass(secs(59)).await;
    assert!(items.peek(&1).is_some());
    pass(secs(1)).await;
    assert!(items.peek(&1).is_none());
}

/// C20: jitter does not carry an entry over midnight, and neither does a ttl that a load brings.
#[tokio::test(start_paused = true)]
async fn neither_jitter_nor_an_own_ttl_reaches_over_midnight() {
    let source = Source::in_batches(1_000);
    source.usually(Mood::AnswersFor(secs(864_000)));
    let policy = Policy { jitter: 0.5, ..of_the_day("UTC") };
    let (_engine, items, _clock) = at("2024-05-01T23:00:00Z", policy, &source).await;
    let keys: Vec<u64> = (0..1_000).collect();
    items.get_many(&keys).await;
    pass(secs(3_599)).await;
    assert!(keys.iter().all(|key| items.peek(key).is_some()));
    pass(secs(1)).await;
    assert!(keys.iter().all(|key| items.peek(key).is_none()));
}

/// C20: a value whose load began yesterday is yesterday's.
#[tokio::test(start_paused = true)]
async fn a_load_that_lasts_over_midnight_brings_nothing_to_keep() {
    let source = Source::new();
    source.takes(secs(10));
    let (_engine, items, _clock) = at("2024-05-01T23:59:55Z", of_the_day("UTC"), &source).await;
    assert_eq!(value(&items, 1).await, 0, "those who waited for it get it");
    assert!(items.peek(&1).is_none());
    source.change();
    assert_eq!(value(&items, 1).await, 1);
    assert!(items.peek(&1).is_some());
}

/// C20: a correction of the wall clock before a load counts, as a calendar would have it.
#[tokio::test(start_paused = true)]
async fn midnight_is_that_of_the_wall_clock_at_the_load() {
    let source = Source::new();
    let (_engine, items, clock) = at("2024-05-01T20:00:00Z", of_the_day("UTC"), &source).await;
    clock.step_wall(SignedDuration::from_hours(3));
    value(&items, 1).await;
    pass(secs(3_599)).await;
    let read = items.read(&1, &ReadOptions::new()).await.unwrap();
    assert_eq!((read.age, source.loads()), (secs(3_599), 1));
    pass(secs(1)).await;
    assert!(items.peek(&1).is_none());
}
