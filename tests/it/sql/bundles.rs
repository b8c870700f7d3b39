//! What is read together.

use forewarm::{Bundle, Bundled, Origin, ReadFrom, ReadOptions};
use tokio::sync::{Barrier, Mutex};

use super::*;

/// Loads of three resources, of which none ends before all have begun.
struct Together {
    engine: Forewarm,
    person: Resource<u64, String>,
    permissions: Resource<u64, Vec<String>>,
    count: Resource<String, usize>,
    origins: Arc<Mutex<Vec<Origin>>>,
}

struct Meeting<V> {
    barrier: Arc<Barrier>,
    origins: Arc<Mutex<Vec<Origin>>>,
    value: Option<V>,
}

impl<K: Key, V: Clone + Send + Sync + 'static> Loader<K, V> for Meeting<V> {
    async fn load(&self, key: &K, cx: &LoadContext<V>) -> Result<Loaded<V>, LoadError> {
        self.origins.lock().await.push(cx.origin());
        self.barrier.wait().await;
        match key.to_string().as_str() {
            "13" => Err(LoadError::permanent("unlucky")),
            _ => Ok(self.value.clone().into()),
        }
    }
}

impl Together {
    async fn new() -> Self {
        let engine = engine().await;
        let (barrier, origins) = (Arc::new(Barrier::new(3)), Arc::default());
        let (person, permissions, count) = (
            Meeting {
                barrier: Arc::clone(&barrier),
                origins: Arc::clone(&origins),
                value: Some("Ada".to_owned()),
            },
            Meeting {
                barrier: Arc::clone(&barrier),
                origins: Arc::clone(&origins),
                value: Some(vec!["read".to_owned()]),
            },
            Meeting { barrier, origins: Arc::clone(&origins), value: None },
        );
        let person = engine.memory_resource("person").policy(plain()).loader(person);
        let permissions = engine.memory_resource("permissions").policy(plain()).loader(permissions);
        let count = engine.memory_resource("count").policy(plain()).loader(count);
        let (person, permissions) = (person.build().unwrap(), permissions.build().unwrap());
        let count = count.build().unwrap();
        engine.start().await.unwrap();
        Self { engine, person, permissions, count, origins }
    }

    fn bundle(&self) -> Bundle<u64> {
        Bundle::new()
            .key(&self.person, |user: &u64| *user)
            .key(&self.permissions, |user| *user)
            .key(&self.count, |user| format!("of:{user}"))
    }
}

/// S3-32: three resources by one call, at once, each with its own type.
#[tokio::test]
async fn all_parts_are_loaded_at_once_and_each_has_its_type() {
    let together = Together::new().await;
    let bundle = together.bundle();
    let user = in_time(bundle.load(&7)).await;
    assert_eq!(user.get(&together.person).unwrap().as_deref().map(String::as_str), Some("Ada"));
    assert_eq!(user.get(&together.permissions).unwrap().unwrap()[..], ["read"]);
    assert_eq!(user.get(&together.count).unwrap(), None);
    assert!(user.is_complete());
    // Each was read once, as a reader reads it.
    for stats in together.engine.stats() {
        assert_eq!((stats.total_accesses, stats.loads), (1, 1), "{stats:?}");
    }
    assert_eq!(*together.origins.lock().await, [Origin::Demand; 3]);
}

#[tokio::test]
async fn many_who_load_a_bundle_make_one_load_of_each_part() {
    let together = Together::new().await;
    let bundle = together.bundle();
    let loads = (0..100).map(|_| bundle.load(&7));
    let users = in_time(futures_util::future::join_all(loads)).await;
    assert!(users.iter().all(Bundled::is_complete));
    for stats in together.engine.stats() {
        assert_eq!((stats.total_accesses, stats.loads), (100, 1), "{stats:?}");
    }
}

/// S3-32, D3-27: what is preloaded is what is read.
#[tokio::test]
async fn what_is_preloaded_is_a_hit_of_each_part() {
    let together = Together::new().await;
    let preloaded = in_time(together.bundle().preload(&7)).await;
    assert_eq!((preloaded.loaded, preloaded.absent, preloaded.failed), (2, 1, 0), "{preloaded:?}");
    assert_eq!(*together.origins.lock().await, [Origin::Preload; 3]);
    let options = ReadOptions::new();
    let person = together.person.read(&7, &options).await.unwrap();
    let permissions = together.permissions.read(&7, &options).await.unwrap();
    let count = together.count.read("of:7", &options).await.unwrap();
    assert_eq!([person.from, permissions.from, count.from], [ReadFrom::L1; 3]);
    assert_eq!(in_time(together.bundle().preload(&7)).await.held, 3);
}

#[tokio::test]
async fn a_part_that_fails_does_not_fail_the_others() {
    let together = Together::new().await;
    let bundle = together.bundle();
    let user = in_time(bundle.load(&13)).await;
    assert!(user.get(&together.person).is_err() && user.get(&together.permissions).is_err());
    // Its key is not 13 alone.
    assert_eq!(user.get(&together.count).unwrap(), None);
    assert!(!user.is_complete());
}

#[tokio::test]
async fn a_part_that_a_bundle_has_not_is_an_error_that_names_it() {
    let (together, others) = (Together::new().await, Together::new().await);
    let user = Bundle::<u64>::new().load(&7).await;
    let error = user.get(&together.person).unwrap_err();
    assert!(error.to_string().contains("`person`"), "{error}");
    // Nor are those of another engine.
    let user = in_time(others.bundle().load(&7)).await;
    assert!(user.get(&together.person).is_err());
}

/// What belongs together in a scope is learned as that of any reader.
#[tokio::test]
async fn debug_names_the_parts() {
    let together = Together::new().await;
    assert_eq!(format!("{:?}", together.bundle()), r#"["person", "permissions", "count"]"#);
}
