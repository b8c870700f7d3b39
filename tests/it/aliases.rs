//! C02: values that are read by another name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use forewarm::{
    Alias, Config, Delivery, Error, Forewarm, LoadError, Policy, PreloadMode, PreloadPolicy,
    Resource, TrustOnRestart,
};
use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof, proptest};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::sim::SimStore;

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Person {
    id: u64,
    email: Option<String>,
}

/// The people there are, and how often was asked for them by key and by name.
#[derive(Clone, Default)]
struct People(Arc<Table>);

#[derive(Default)]
struct Table {
    emails: Mutex<BTreeMap<u64, Option<String>>>,
    loads: AtomicU64,
    finds: AtomicU64,
}

impl People {
    fn set(&self, id: u64, email: Option<&str>) {
        self.0.emails.lock().insert(id, email.map(str::to_owned));
    }

    fn remove(&self, id: u64) {
        self.0.emails.lock().remove(&id);
    }

    fn load(&self, id: u64) -> Option<Person> {
        self.0.loads.fetch_add(1, SeqCst);
        self.0.emails.lock().get(&id).map(|email| Person { id, email: email.clone() })
    }

    fn owner(&self, email: &str) -> Option<u64> {
        let emails = self.0.emails.lock();
        let is_it = |owned: &Option<String>| {
            owned.as_ref().is_some_and(|owned| owned.to_lowercase() == email)
        };
        emails.iter().find(|(_, owned)| is_it(owned)).map(|(id, _)| *id)
    }

    fn find(&self, email: &str) -> Option<u64> {
        self.0.finds.fetch_add(1, SeqCst);
        self.owner(email)
    }

    /// How often was asked by key and by name since the last call.
    fn asked(&self) -> (u64, u64) {
        (self.0.loads.swap(0, SeqCst), self.0.finds.swap(0, SeqCst))
    }
}

struct Run {
    forewarm: Forewarm,
    people: Resource<u64, Person>,
}

async fn begin(people: &People, store: &SimStore) -> Run {
    let config = Config { prefix: "shop".into(), summary_every: None, ..Config::default() };
    let builder = Forewarm::builder().config(config).tier(store.connect());
    let forewarm = builder.build().await.unwrap();
    let (loaded, found) = (people.clone(), people.clone());
    let find = move |email: String| {
        let found = found.clone();
        async move { Ok::<_, LoadError>(found.find(&email)) }
    };
    let email = Alias::new("email", |person: &Person| person.email.clone(), find);
    let preload = PreloadPolicy { mode: PreloadMode::Off, ..PreloadPolicy::default() };
    let trust_on_restart = TrustOnRestart::WithinTtl;
    let policy = Policy { preload, trust_on_restart, ..Policy::default() };
    let resource = forewarm.resource::<u64, Person>("person").policy(policy);
    let resource = resource.alias(email.normalized_by(|text| text.trim().to_lowercase()));
    let load = move |id| {
        let loaded = loaded.clone();
        async move { Ok::<_, LoadError>(loaded.load(id)) }
    };
    let people = resource.load_with(load).build().unwrap();
    forewarm.start().await.unwrap();
    sleep(Duration::from_millis(1)).await;
    Run { forewarm, people }
}

impl Run {
    async fn by(&self, email: &str) -> Option<u64> {
        let person = self.people.get_by("email", email).await.unwrap();
        person.map(|person| person.id)
    }

    /// Who is read by key.
    async fn get(&self, id: u64) -> Option<Person> {
        let person = self.people.get(&id).await.unwrap().map(|person| (*person).clone());
        // What was loaded is noted under its name as well.
        sleep(Duration::from_millis(1)).await;
        person
    }

    async fn invalidate(&self, id: u64) {
        assert_eq!(self.people.invalidate(&id).await, Delivery::Applied);
    }

    async fn invalidate_by(&self, email: &str) {
        let delivery = self.people.invalidate_by("email", email).await;
        assert_eq!(delivery.unwrap(), Delivery::Applied);
    }
}

#[tokio::test(start_paused = true)]
async fn a_value_is_loaded_once_whichever_way_it_is_read() {
    let (people, store) = (People::default(), SimStore::new());
    people.set(1, Some("Ada@example.com"));
    people.set(2, Some("bob@example.com"));
    let run = begin(&people, &store).await;
    for email in ["ada@example.com", " ADA@example.com ", "Ada@example.com"] {
        assert_eq!(run.by(email).await, Some(1));
    }
    assert_eq!(run.get(1).await.unwrap().id, 1);
    assert_eq!(people.asked(), (1, 1));
    assert_eq!(run.get(2).await.unwrap().id, 2);
    assert_eq!(run.by("bob@example.com").await, Some(2));
    assert_eq!(people.asked(), (1, 0), "a load by key fills the name as well");
}

#[tokio::test(start_paused = true)]
async fn names_are_in_l2_too() {
    let (people, store) = (People::default(), SimStore::new());
    people.set(1, Some("ada@example.com"));
    let run = begin(&people, &store).await;
    assert_eq!(run.by("ada@example.com").await, Some(1));
    people.asked();
    let other = begin(&people, &store).await;
    assert_eq!(other.by("ada@example.com").await, Some(1));
    run.forewarm.shutdown(Duration::from_secs(1)).await;
    other.forewarm.shutdown(Duration::from_secs(1)).await;
    let again = begin(&people, &store).await;
    assert_eq!(again.by("ada@example.com").await, Some(1));
    assert_eq!(people.asked(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_moved_leads_to_its_new_owner_and_never_to_the_old_one() {
    let (people, store) = (People::default(), SimStore::new());
    people.set(1, Some("ada@example.com"));
    let [run, other] = [begin(&people, &store).await, begin(&people, &store).await];
    assert_eq!(run.by("ada@example.com").await, Some(1));
    assert_eq!(other.by("ada@example.com").await, Some(1));
    people.set(1, Some("countess@example.com"));
    run.invalidate(1).await;
    assert_eq!(run.by("ada@example.com").await, None);
    assert_eq!(run.by("countess@example.com").await, Some(1));
    people.set(2, Some("ada@example.com"));
    run.invalidate(2).await;
    run.invalidate_by("ada@example.com").await;
    assert_eq!(run.by("ada@example.com").await, Some(2));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(other.by("ada@example.com").await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_nothing_has_is_asked_for_once_until_it_is_given() {
    let (people, store) = (People::default(), SimStore::new());
    let run = begin(&people, &store).await;
    for _ in 0..1_000 {
        assert_eq!(run.by("ada@example.com").await, None);
    }
    assert_eq!(people.asked(), (0, 1));
    people.set(1, Some("ada@example.com"));
    let person = Person { id: 1, email: Some("ada@example.com".to_owned()) };
    assert_eq!(run.people.put(&1, person).await, Delivery::Applied);
    assert_eq!(run.by("ada@example.com").await, Some(1), "what is put is found");
    assert_eq!(run.by("bob@example.com").await, None);
    people.set(2, Some("bob@example.com"));
    assert_eq!(run.get(2).await.unwrap().id, 2);
    assert_eq!(run.by("bob@example.com").await, Some(2), "what is loaded is found");
    assert_eq!(run.by("eve@example.com").await, None);
    people.set(3, Some("eve@example.com"));
    run.invalidate_by("eve@example.com").await;
    assert_eq!(run.by("eve@example.com").await, Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_name_goes_with_its_value() {
    let (people, store) = (People::default(), SimStore::new());
    people.set(1, Some("ada@example.com"));
    let run = begin(&people, &store).await;
    assert_eq!(run.by("ada@example.com").await, Some(1));
    people.remove(1);
    run.invalidate(1).await;
    assert_eq!(run.by("ada@example.com").await, None);
    people.set(2, None);
    assert_eq!(run.get(2).await.unwrap().email, None);
}

#[tokio::test(start_paused = true)]
async fn an_alias_that_is_not_declared_is_an_error_that_names_those_that_are() {
    let (people, store) = (People::default(), SimStore::new());
    let run = begin(&people, &store).await;
    let error = run.people.get_by("mail", "ada@example.com").await.unwrap_err();
    assert!(matches!(error, Error::Config(_)));
    assert!(error.to_string().contains("person.alias `mail`"), "{error}");
    assert!(error.to_string().contains("email"), "{error}");
}

#[derive(Clone, Debug)]
enum Step {
    /// Gives somebody a name, whoever had it before, as the source says; or takes it away.
    Name(u64, Option<usize>),
    Delete(u64),
    /// The same, with what was written at hand.
    Put(u64, usize),
    Get(usize, u64),
    GetBy(usize, usize),
    Restart(usize),
    Pass(u64),
}

const NAMES: [&str; 3] = ["a@x", "B@x", "c@X"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (id, name, engine) = (1..4_u64, 0..NAMES.len(), 0..2_usize);
    let given = prop_oneof![3 => name.clone().prop_map(Some), 1 => Just(None)];
    let step = prop_oneof![
        3 => (id.clone(), given).prop_map(|(id, name)| Step::Name(id, name)),
        1 => id.clone().prop_map(Step::Delete),
        2 => (id.clone(), name.clone()).prop_map(|(id, name)| Step::Put(id, name)),
        3 => (engine.clone(), id).prop_map(|(engine, id)| Step::Get(engine, id)),
        6 => (engine.clone(), name).prop_map(|(engine, name)| Step::GetBy(engine, name)),
        1 => engine.prop_map(Step::Restart),
        1 => (1..40_u64).prop_map(Step::Pass),
    ];
    vec(step, 1..40)
}

/// Two engines over one store, and what the source has.
struct Machine {
    people: People,
    store: SimStore,
    runs: [Run; 2],
}

impl Machine {
    async fn new() -> Self {
        let (people, store) = (People::default(), SimStore::new());
        let runs = [begin(&people, &store).await, begin(&people, &store).await];
        Self { people, store, runs }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Name(id, name) => {
                let email = name.map(|name| NAMES[name]);
                self.write(id, Some(email)).await;
            }
            Step::Delete(id) => self.write(id, None).await,
            Step::Put(id, name) => {
                let email = NAMES[name];
                if self.people.owner(&email.to_lowercase()).is_none() {
                    self.people.set(id, Some(email));
                    let person = Person { id, email: Some(email.to_owned()) };
                    assert_eq!(self.runs[0].people.put(&id, person).await, Delivery::Applied);
                    sleep(Duration::from_secs(2)).await;
                }
            }
            Step::Get(engine, id) => {
                let expected = self.people.0.emails.lock().get(&id).cloned();
                let person = self.runs[engine].get(id).await;
                assert_eq!(person.map(|person| person.email), expected);
            }
            Step::GetBy(engine, name) => {
                let expected = self.people.owner(&NAMES[name].to_lowercase());
                assert_eq!(self.runs[engine].by(NAMES[name]).await, expected);
            }
            Step::Restart(engine) => {
                self.runs[engine].forewarm.shutdown(Duration::from_secs(1)).await;
                self.runs[engine] = begin(&self.people, &self.store).await;
            }
            Step::Pass(seconds) => sleep(Duration::from_secs(seconds)).await,
        }
    }

    /// Writes to the source, tells one engine, and gives the other its window. A name has one owner.
    async fn write(&self, id: u64, email: Option<Option<&str>>) {
        let is_free = |email: &str| self.people.owner(&email.to_lowercase()).is_none();
        match email {
            Some(Some(email)) if !is_free(email) => return,
            Some(email) => self.people.set(id, email),
            None => self.people.remove(id),
        }
        let run = &self.runs[0];
        run.invalidate(id).await;
        if let Some(Some(email)) = email {
            run.invalidate_by(email).await;
        }
        sleep(Duration::from_secs(2)).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Never a wrong object, never one that a name no longer belongs to.
    #[test]
    fn whatever_becomes_of_names_they_lead_where_the_source_says(steps in steps()) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut machine = Machine::new().await;
            for step in steps {
                machine.take(step).await;
            }
        });
    }
}
