//! What users wrote and the learner calls: relations, and the texts of keys.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use forewarm::{Delivery, Origin, Resource};

use super::super::source::{Source, engine, others_run};
use super::{REST, learning, read, resource};

/// A number whose text cannot be read if it is [`MUTE`], and cannot be written if it is [`SHY`] and
/// that is asked for at the wrong time.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Touchy(u64);

const MUTE: u64 = 13;
const SHY: u64 = 14;
static IS_WRONG_TIME: AtomicBool = AtomicBool::new(false);

impl fmt::Display for Touchy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        assert!(self.0 != SHY || !IS_WRONG_TIME.load(SeqCst), "a key that cannot be written");
        write!(f, "{}", self.0)
    }
}

impl FromStr for Touchy {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let number = text.parse()?;
        assert!(number != MUTE, "a key that cannot be read");
        Ok(Self(number))
    }
}

/// Reads one key after another, until the second is expected after the first.
async fn read_in_turn(items: &Resource<Touchy, String>, keys: [u64; 2]) {
    for _ in 0..8 {
        for key in keys {
            read(items, Touchy(key)).await;
        }
        tokio::time::sleep(REST).await;
    }
}

/// C06: a key whose text panics is not loaded ahead, and learning goes on.
#[tokio::test(start_paused = true)]
async fn a_key_whose_text_panics_costs_no_other_key_anything() {
    let (source, forewarm) = (Source::<Touchy>::new(), engine().await);
    let items = resource(&forewarm, "item", learning(), &source);
    forewarm.start().await.unwrap();
    read_in_turn(&items, [1, MUTE]).await;
    assert_eq!(source.loads_for(Origin::Preload), 0);
    assert_eq!(items.put(&Touchy(SHY), "put".to_owned()).await, Delivery::Applied);
    IS_WRONG_TIME.store(true, SeqCst);
    read(&items, Touchy(SHY)).await;
    IS_WRONG_TIME.store(false, SeqCst);
    assert!(forewarm.learned_pairs(10).iter().all(|pair| *pair.related.key != *"14"));
    read_in_turn(&items, [3, 4]).await;
    assert!(source.loads_for(Origin::Preload) >= 5, "{:?}", source.calls());
    assert!(
        source.calls().iter().all(|call| call.origin == Origin::Demand || call.key == Touchy(4))
    );
}

/// C09: a relation that panics relates nothing, and the others are acted on.
#[tokio::test(start_paused = true)]
async fn a_relation_that_panics_relates_nothing() {
    let (users, permissions) = (Source::<u64>::new(), Source::<u64>::new());
    let forewarm = engine().await;
    let user = forewarm.resource("user").policy(learning()).loader(users.clone());
    let user = user.related("permission", |id: &u64, _: &String| {
        assert!(*id != 13, "a relation that cannot be found");
        [*id]
    });
    let user = user.related("permission", |id: &u64, _: &String| [*id + 100]).build().unwrap();
    let _permission = resource(&forewarm, "permission", learning(), &permissions);
    forewarm.start().await.unwrap();
    for id in [12, 13, 14] {
        read(&user, id).await;
    }
    let loaded = [12, 112, 13, 113, 14, 114].map(|id| permissions.loads_of(&id));
    assert_eq!(loaded, [1, 1, 0, 1, 1, 1]);
}

/// C09: a relation is found while nothing is locked: it may ask what was learned.
#[tokio::test(start_paused = true)]
async fn a_relation_may_ask_what_was_learned() {
    let (users, permissions) = (Source::<u64>::new(), Source::<u64>::new());
    let forewarm = engine().await;
    let known: Arc<OnceLock<Resource<u64, String>>> = Arc::default();
    let asked = Arc::clone(&known);
    let user = forewarm.resource("user").policy(learning()).loader(users.clone());
    let user = user.related("permission", move |id: &u64, _: &String| {
        [*id + asked.get().map_or(0, |user| user.related(id).len() as u64)]
    });
    let user = user.build().unwrap();
    drop(known.set(user.clone()));
    let _permission = resource(&forewarm, "permission", learning(), &permissions);
    forewarm.start().await.unwrap();
    read(&user, 7).await;
    others_run().await;
    assert_eq!(permissions.loads_of(&7), 1);
}
