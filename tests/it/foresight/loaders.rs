//! What a resource can be loaded by.

use std::sync::Arc;
use std::thread;

use forewarm::{
    Error, Forewarm, LoadContext, LoadError, Loaded, Loader, Origin, Policy, ReadOptions, Resource,
    SourcePolicy,
};
use parking_lot::Mutex;

use super::source::{Mood, Source, engine, item, others_run, plain, secs, started};

/// A source that takes several keys in a call, and remembers how many.
#[derive(Clone)]
struct Batches {
    source: Source<u64>,
    per_call: usize,
    calls: Arc<Mutex<Vec<Vec<u64>>>>,
    /// How many results it leaves out at the end of a call.
    leaves_out: usize,
}

impl Batches {
    fn new(per_call: usize) -> Self {
        Self { source: Source::new(), per_call, calls: Arc::default(), leaves_out: 0 }
    }
}

impl Loader<u64, String> for Batches {
    async fn load(&self, key: &u64, cx: &LoadContext<String>) -> Result<Loaded<String>, LoadError> {
        self.source.load(key, cx).await
    }

    fn keys_per_call(&self) -> usize {
        self.per_call
    }

    async fn load_many(
        &self,
        keys: &[(u64, LoadContext<String>)],
    ) -> Vec<Result<Loaded<String>, LoadError>> {
        self.calls.lock().push(keys.iter().map(|(key, _)| *key).collect());
        let mut results = Vec::new();
        for (key, cx) in &keys[..keys.len() - self.leaves_out] {
            results.push(self.source.load(key, cx).await);
        }
        results
    }
}

async fn over(loader: Batches) -> (Forewarm, Resource<u64, String>) {
    let forewarm = engine().await;
    let items = forewarm.resource("item").policy(plain()).loader(loader).build().unwrap();
    forewarm.start().await.unwrap();
    (forewarm, items)
}

/// C10: an async closure gives a value, an option, or a `Loaded` that says more.
#[tokio::test(start_paused = true)]
async fn closures_give_values_options_or_more() {
    let forewarm = engine().await;
    let plain_values = forewarm
        .resource::<u64, u64>("square")
        .load_with(|key| async move { Ok::<_, LoadError>(key * key) })
        .build()
        .unwrap();
    let options = forewarm
        .resource::<u64, u64>("root")
        .load_with(|key| async move { Ok::<_, LoadError>((key != 0).then_some(key)) })
        .build()
        .unwrap();
    let more = forewarm
        .resource::<u64, u64>("quote")
        .policy(plain())
        .load_with(|key| async move { Ok::<_, LoadError>(Loaded::found(key).ttl(secs(5))) })
        .build()
        .unwrap();
    assert_eq!(plain_values.get(&9).await.unwrap().as_deref(), Some(&81));
    assert_eq!(options.get(&9).await.unwrap().as_deref(), Some(&9));
    assert_eq!(options.get(&0).await.unwrap(), None);
    more.get(&3).await.unwrap();
    assert_eq!(more.explain(&3).held.map(|held| held.fresh_for), Some(secs(5)));
}

/// C10: a loader that blocks runs where blocking is allowed, off the threads of the runtime.
#[tokio::test]
async fn a_blocking_closure_runs_off_the_runtime() {
    let forewarm = engine().await;
    let ran_on = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&ran_on);
    let items = forewarm
        .resource::<u64, String>("item")
        .policy(plain())
        .load_blocking_with(move |key| {
            noted.lock().push(thread::current().id());
            match key {
                0 => Ok(None),
                1 => Ok(Some("one".to_owned())),
                2 => Err(LoadError::permanent("no")),
                _ => panic!("the loader has a defect"),
            }
        })
        .build()
        .unwrap();
    assert_eq!(items.get(&0).await.unwrap(), None);
    assert_eq!(items.get(&1).await.unwrap().as_deref().map(String::as_str), Some("one"));
    assert!(matches!(items.get(&2).await, Err(Error::Load { .. })));
    assert!(matches!(items.get(&3).await, Err(Error::Panicked { .. })));
    let ran_on = ran_on.lock();
    assert_eq!(ran_on.len(), 4);
    assert!(!ran_on.contains(&thread::current().id()));
}

/// C10: one loader serves every key of its resource, also those that nobody ever registered.
#[tokio::test(start_paused = true)]
async fn a_loader_serves_any_key() {
    let source = Source::new();
    let (_forewarm, items) = started(plain(), &source).await;
    for key in [0, 7, u64::MAX] {
        assert_eq!(items.get(&key).await.unwrap().as_deref().map(String::as_str), Some("v1"));
    }
}

/// C10: a loader is told why it is called, what is held, since when, and how long it may take.
#[tokio::test(start_paused = true)]
async fn a_loader_is_told_why_it_is_called_and_what_is_held() {
    struct Curious(Arc<Mutex<Vec<Told>>>);
    /// Why, what is held, for how many seconds, and how many are left.
    type Told = (Origin, Option<String>, u64);
    impl Loader<u64, String> for Curious {
        async fn load(
            &self,
            _key: &u64,
            cx: &LoadContext<String>,
        ) -> Result<Loaded<String>, LoadError> {
            let left = cx.deadline() - tokio::time::Instant::now();
            assert_eq!(cx.held().is_some(), cx.held_since().is_some());
            self.0.lock().push((
                cx.origin(),
                cx.held().map(|held| (**held).clone()),
                left.as_secs(),
            ));
            Ok(format!("load {}", self.0.lock().len()).into())
        }
    }
    let told = Arc::new(Mutex::new(Vec::new()));
    let forewarm = engine().await;
    let stale = Policy { stale_while_revalidate: Some(secs(30)), ..plain() };
    let resource = forewarm.resource::<u64, String>("item").policy(stale);
    let items = resource.loader(Curious(Arc::clone(&told))).build().unwrap();
    items.preload(&[1]).await;
    tokio::time::sleep(secs(61)).await;
    items.get(&1).await.unwrap();
    others_run().await;
    items.read(&1, &ReadOptions::new().refresh()).await.unwrap();
    let held = |nth: u32| Some(format!("load {nth}"));
    let expected = [
        (Origin::Preload, None, 30),
        (Origin::Refresh, held(1), 30),
        (Origin::Demand, held(2), 30),
    ];
    assert_eq!(*told.lock(), expected);
}

/// C10: keys that are wanted together are asked for together, as many as a call takes.
#[tokio::test(start_paused = true)]
async fn a_batch_loader_gets_as_many_keys_as_it_takes() {
    let batches = Batches::new(4);
    let (_forewarm, items) = over(batches.clone()).await;
    let keys: Vec<u64> = (0..10).collect();
    let values = items.get_many(&keys).await;
    assert!(values.iter().all(|value| value.as_ref().unwrap().is_some()));
    assert_eq!(*batches.calls.lock(), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);

    batches.calls.lock().clear();
    let keys: Vec<u64> = (8..17).collect();
    let preloaded = items.preload(&keys).await;
    assert_eq!((preloaded.loaded, preloaded.held), (7, 2));
    let mut lengths: Vec<_> = batches.calls.lock().iter().map(Vec::len).collect();
    lengths.sort_unstable();
    // One call has one key left, which is then asked for alone.
    assert_eq!(lengths, [2, 4]);
    assert_eq!(batches.source.calls().len(), 17);
}

/// C10: what a batch loader leaves out fails, and fails nobody else.
#[tokio::test(start_paused = true)]
async fn what_a_batch_leaves_out_fails_alone() {
    let batches = Batches { leaves_out: 2, ..Batches::new(8) };
    batches.source.mood(1, Mood::Refuses);
    let (_forewarm, items) = over(batches.clone()).await;
    let values = items.get_many(&[0, 1, 2, 3, 4]).await;
    let is_there: Vec<_> = values.iter().map(Result::is_ok).collect();
    assert_eq!(is_there, [true, false, true, false, false]);
    let Err(error) = &values[4] else { panic!("a value came from nowhere") };
    let chain = std::error::Error::source(error).and_then(std::error::Error::source).unwrap();
    assert_eq!(chain.to_string(), "the loader gave fewer results than keys");
    assert!(!error.is_transient());
}

/// C10: a loader that says nothing of batches is called key by key.
#[tokio::test(start_paused = true)]
async fn a_plain_loader_is_called_once_per_key() {
    let source = Source::new();
    let (_forewarm, items) = started(plain(), &source).await;
    items.get_many(&[1, 2, 3, 2]).await;
    assert_eq!([1, 2, 3].map(|key| source.loads_of(&key)), [1, 1, 1]);
}

/// C10: transient failures are tried again, and permanent ones and panics are not.
#[tokio::test(start_paused = true)]
async fn only_what_may_pass_is_tried_again() {
    for (mood, loads) in [(Mood::Fails, 3), (Mood::Refuses, 1), (Mood::Panics, 1)] {
        let source = Source::new();
        source.usually(mood);
        let terms = SourcePolicy { attempts: 3, ..SourcePolicy::default() };
        let forewarm = engine().await;
        let items = item(&forewarm, Policy { source: terms, ..plain() }, &source);
        items.get(&1).await.unwrap_err();
        assert_eq!(source.calls().len(), loads, "{mood:?}");
    }
}

/// C10: a resource without a loader is refused.
#[tokio::test(start_paused = true)]
async fn a_resource_without_a_loader_is_refused() {
    let forewarm = engine().await;
    let refused = forewarm.resource::<u64, String>("item").build();
    let Err(Error::Config(error)) = refused else { panic!("it was taken") };
    assert_eq!(error.field(), "item.loader");
}
