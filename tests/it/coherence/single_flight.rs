//! One load, however many ask on however many engines.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::world::{Engine, MINUTE, SECOND, World};

const READERS: usize = 10_000;

async fn read_by_all(engines: &[Engine; 3]) {
    let reads = engines.iter().flat_map(|engine| (0..READERS).map(|_| engine.users.get(&1)));
    for user in join_all(reads).await {
        assert_eq!(*user.unwrap().unwrap(), "old");
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_readers_on_each_of_three_engines_lead_to_one_load() {
    let world = World::new();
    world.source.take(Duration::from_millis(50));
    let engines = world.engines().await;
    read_by_all(&engines).await;
    assert_eq!(world.source.loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_l2_they_lead_to_one_load_on_each_engine() {
    let world = World::new();
    world.source.take(Duration::from_millis(50));
    let engines = world.engines().await;
    for engine in &engines {
        engine.line.cut_for(MINUTE);
    }
    sleep(SECOND).await;
    read_by_all(&engines).await;
    assert_eq!(world.source.loads(), 3);
}
