//! Keys that are declared to be related.

use forewarm::{Delivery, Error, Forewarm, Origin, Policy, PreloadMode, PreloadPolicy, Resource};
use tokio::time::sleep;

use super::super::source::{Source, engine, others_run};
use super::{REST, learning, read, resource};

/// Users, whose permissions are declared to be related to them.
struct Ground {
    user: Resource<u64, String>,
    permission: Resource<u64, String>,
    users: Source<u64>,
    permissions: Source<u64>,
    _forewarm: Forewarm,
}

/// A policy that learns neither associations nor rules.
fn only_declared() -> Policy {
    let preload = PreloadPolicy { associations: false, rules: false, ..learning().preload };
    Policy { preload, ..learning() }
}

impl Ground {
    async fn new(of_permissions: Policy) -> Self {
        let (users, permissions) = (Source::new(), Source::new());
        let forewarm = engine().await;
        let user = forewarm.resource("user").policy(only_declared()).loader(users.clone());
        let user = user.related("permission", |id: &u64, _: &String| [*id]).build().unwrap();
        let permission = resource(&forewarm, "permission", of_permissions, &permissions);
        forewarm.start().await.unwrap();
        Self { user, permission, users, permissions, _forewarm: forewarm }
    }
}

/// C08, C09: what is declared to be related is loaded at the first read, as soon as the value is
/// there that it is found by, and before anything was learned.
#[tokio::test(start_paused = true)]
async fn related_keys_are_loaded_at_the_first_read() {
    let ground = Ground::new(only_declared()).await;
    ground.users.hold();
    let reader = {
        let user = ground.user.clone();
        tokio::runtime::Handle::current().spawn(async move { user.get(&7).await.map(drop) })
    };
    ground.users.asked(1).await;
    others_run().await;
    assert_eq!(ground.permissions.calls().len(), 0);
    ground.users.release();
    reader.await.unwrap().unwrap();
    others_run().await;
    assert_eq!(ground.permissions.loads_of(&7), 1);
    assert_eq!(ground.permissions.calls()[0].origin, Origin::Preload);
    ground.permission.get(&7).await.unwrap();
    assert_eq!(ground.permissions.calls().len(), 1);
    assert_eq!(ground.permission.stats().preload_hits, 1);
}

/// C09: a user in memory whose permission is not lets it load, too.
#[tokio::test(start_paused = true)]
async fn related_keys_are_loaded_when_the_first_was_held() {
    let ground = Ground::new(only_declared()).await;
    assert_eq!(ground.user.put(&7, "put".to_owned()).await, Delivery::Applied);
    others_run().await;
    assert_eq!(ground.permissions.calls().len(), 0);
    read(&ground.user, 7).await;
    assert_eq!(ground.permissions.loads_of(&7), 1);
    read(&ground.user, 7).await;
    assert_eq!(ground.permissions.loads_of(&7), 1);
}

/// C09: a list lets all it names load, found by its value; of a very long one 64.
#[tokio::test(start_paused = true)]
async fn a_list_lets_what_it_names_load() {
    for (length, loads) in [(10, 10), (64, 64), (200, 64)] {
        let (posts, forewarm) = (Source::<u64>::new(), engine().await);
        let ids = |_: &u64, list: &Vec<u64>| list.clone();
        let list = forewarm.resource::<u64, Vec<u64>>("list").policy(learning());
        let list = list.related("post", ids).load_with(move |_| async move {
            Ok::<_, forewarm::LoadError>((0..length).collect::<Vec<u64>>())
        });
        let list = list.build().unwrap();
        let _post = resource(&forewarm, "post", learning(), &posts);
        forewarm.start().await.unwrap();
        list.get(&1).await.unwrap();
        for _ in 0..20 {
            others_run().await;
        }
        assert_eq!(posts.calls().len(), loads, "{length}");
    }
}

/// C01, C09: a relation to a resource that does not exist is refused at the start, by its name.
#[tokio::test(start_paused = true)]
async fn a_relation_to_nothing_is_refused_by_name() {
    let source = Source::new();
    let forewarm = engine().await;
    let user = forewarm.resource::<u64, String>("user").loader(source.clone());
    user.related("permision", |id, _| [*id]).build().unwrap();
    let _permission = resource(&forewarm, "permission", learning(), &source);
    let error = forewarm.start().await.unwrap_err();
    let Error::Config(error) = error else { panic!("{error}") };
    assert_eq!(error.field(), "user.related");
    assert!(error.to_string().contains("`permision`"), "{error}");
}

/// C09, C34: a relation is acted on for as long as it is useful, and no longer.
#[tokio::test(start_paused = true)]
async fn a_relation_that_is_never_useful_is_no_longer_acted_on() {
    for (is_useful, least, most) in [(true, 300, 300), (false, 1, 30)] {
        let ground = Ground::new(only_declared()).await;
        for id in 0..300 {
            read(&ground.user, id).await;
            if is_useful {
                read(&ground.permission, id).await;
            }
            sleep(REST).await;
        }
        let loads = ground.permissions.loads_for(Origin::Preload);
        assert!((least..=most).contains(&loads), "{loads} loads, where {is_useful}");
    }
}

/// C09: what is related is not loaded if the policy of its resource says so.
#[tokio::test(start_paused = true)]
async fn related_keys_of_a_resource_that_loads_nothing_ahead_are_left() {
    for mode in [PreloadMode::Off, PreloadMode::Observe] {
        let preload = PreloadPolicy { mode: mode.clone(), ..PreloadPolicy::default() };
        let ground = Ground::new(Policy { preload, ..learning() }).await;
        for id in 0..10 {
            read(&ground.user, id).await;
        }
        assert_eq!(ground.permissions.calls().len(), 0, "{mode:?}");
    }
}
