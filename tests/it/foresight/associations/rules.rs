//! What holds for every id: after a user, its permission.

use forewarm::{
    Config, Forewarm, LearningConfig, Origin, Policy, PreloadMode, PreloadPolicy, Resource,
};
use tokio::time::sleep;

use super::super::source::{Source, config, engine};
use super::{REST, followers, learning, read, resource};

/// Users and their permissions, which have the same ids.
struct Ground {
    forewarm: Forewarm,
    user: Resource<u64, String>,
    permission: Resource<u64, String>,
    permissions: Source<u64>,
}

impl Ground {
    async fn new(of_permissions: PreloadPolicy) -> Self {
        Self::of(engine().await, of_permissions).await
    }

    async fn of(forewarm: Forewarm, of_permissions: PreloadPolicy) -> Self {
        let (users, permissions) = (Source::new(), Source::new());
        let user = resource(&forewarm, "user", learning(), &users);
        let policy = Policy { preload: of_permissions, ..learning() };
        let permission = resource(&forewarm, "permission", policy, &permissions);
        forewarm.start().await.unwrap();
        Self { forewarm, user, permission, permissions }
    }

    /// Each user is read once, and those of which `is_followed` says so with their permission.
    async fn read_users(&self, ids: std::ops::Range<u64>, is_followed: impl Fn(u64) -> bool) {
        for id in ids {
            read(&self.user, id).await;
            if is_followed(id) {
                read(&self.permission, id).await;
            }
            sleep(REST).await;
        }
    }
}

/// C08, C09: what follows with the same id is learned for all ids: the first read ever of a user
/// loads its permission.
#[tokio::test(start_paused = true)]
async fn the_first_read_of_a_user_loads_its_permission() {
    let ground = Ground::new(learning().preload).await;
    ground.read_users(0..50, |_| true).await;
    let rules = ground.forewarm.learned_rules();
    assert_eq!(rules.len(), 1);
    assert_eq!((&*rules[0].from, &*rules[0].to), ("user", "permission"));
    assert!(rules[0].confidence > 0.95, "{rules:?}");

    assert_eq!(ground.user.related(&1_000), []);
    read(&ground.user, 1_000).await;
    assert_eq!(ground.permissions.loads_of(&1_000), 1);
    assert_eq!(ground.permissions.calls().last().unwrap().origin, Origin::Preload);
    let hits = ground.permission.stats().preload_hits;
    read(&ground.permission, 1_000).await;
    assert_eq!(ground.permissions.loads_of(&1_000), 1);
    assert_eq!(ground.permission.stats().preload_hits, hits + 1);
}

/// C08, C09: rules need no memory of keys: they hold for new ones when there is no room to remember
/// these.
#[tokio::test(start_paused = true)]
async fn rules_hold_for_keys_for_which_there_is_no_room() {
    let learned = LearningConfig { keys_max: 20, ..LearningConfig::default() };
    let builder = Forewarm::builder().config(Config { learning: learned, ..config() });
    let ground = Ground::of(builder.build().await.unwrap(), learning().preload).await;
    ground.read_users(0..300, |_| true).await;
    let rules = ground.forewarm.learned_rules();
    assert!(rules[0].confidence > 0.95, "{rules:?}");
    let preloads = ground.permissions.loads_for(Origin::Preload);
    assert!(preloads >= 295, "{preloads} of 300 loaded ahead");
    assert_eq!(ground.permission.stats().preload_hits, preloads as u64);
}

/// C08: the confidence of a rule is the share of reads that were followed so.
#[tokio::test(start_paused = true)]
async fn the_confidence_of_a_rule_is_its_share() {
    let ground = Ground::new(learning().preload).await;
    ground.read_users(0..200, |id| id % 4 == 0).await;
    let rules = ground.forewarm.learned_rules();
    assert!((rules[0].confidence - 0.25).abs() < 0.01, "{rules:?}");
    // That is too little to act on, beyond what it took to learn it.
    let begun = ground.permissions.loads_for(Origin::Preload);
    ground.read_users(200..300, |id| id % 4 == 0).await;
    assert_eq!(ground.permissions.loads_for(Origin::Preload), begun);
}

/// C09: a policy without rules, or that only observes, loads nothing for them.
#[tokio::test(start_paused = true)]
async fn a_policy_without_rules_loads_nothing_for_them() {
    let usual = learning().preload;
    for policy in [
        PreloadPolicy { rules: false, ..usual.clone() },
        PreloadPolicy { mode: PreloadMode::Observe, ..usual.clone() },
        PreloadPolicy { mode: PreloadMode::Off, ..usual },
    ] {
        let ground = Ground::new(policy.clone()).await;
        ground.read_users(0..50, |_| true).await;
        read(&ground.user, 1_000).await;
        assert_eq!(ground.permissions.loads_of(&1_000), 0, "{policy:?}");
        assert_eq!(ground.permissions.loads_for(Origin::Preload), 0, "{policy:?}");
        let learns = policy.mode != PreloadMode::Off;
        assert_eq!(!followers(&ground.user, 7).is_empty(), learns, "{policy:?}");
    }
}
