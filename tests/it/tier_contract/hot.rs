//! Engines tell each other which keys are read most.

use forewarm::{HotSum, Node, Tier as _};

use super::world::OTHER;
use super::{Bed, Case, NODE, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(nothing_is_hot_where_nobody_else_has_noted_anything),
        Case::of(the_scores_of_the_others_are_summed),
        Case::of(what_one_notes_takes_the_place_of_what_one_noted_before),
        Case::of(every_resource_has_keys_of_its_own),
        Case::of(what_was_noted_is_forgotten_in_time),
        Case::of(the_hottest_come_first_and_not_too_many),
        Case::of(neighbours_hear_of_each_other),
        Case::of(engines_that_note_themselves_are_told_apart_and_forgotten),
    ]
}

const THIRD: Node = Node(u64::MAX);

/// What an engine hears when it notes this, for 10 units.
async fn merge<B: Bed>(world: &World<B>, by: Node, hot: &[(&str, f64)]) -> Vec<(String, f64)> {
    pairs(world.tier.merge_hot(by, "p:user", hot, B::UNIT * 10).await.unwrap())
}

fn pairs(sums: Vec<HotSum>) -> Vec<(String, f64)> {
    sums.into_iter().map(|HotSum { key, score }| (key, score)).collect()
}

fn expected(sums: &[(&str, f64)]) -> Vec<(String, f64)> {
    sums.iter().map(|(key, score)| ((*key).to_owned(), *score)).collect()
}

async fn nothing_is_hot_where_nobody_else_has_noted_anything<B: Bed>(world: World<B>) {
    assert_eq!(merge(&world, NODE, &[]).await, []);
    for _ in 0..2 {
        assert_eq!(merge(&world, NODE, &[("p:user:1", 5.0)]).await, []);
    }
}

async fn the_scores_of_the_others_are_summed<B: Bed>(world: World<B>) {
    let (one, two, three) = ("p:user:1", "p:user:2", "p:user:\u{e9} \"3\"");
    merge(&world, NODE, &[(one, 1.0), (two, 2.5)]).await;
    let heard = merge(&world, OTHER, &[(two, 4.0), (three, 0.25)]).await;
    assert_eq!(heard, expected(&[(two, 2.5), (one, 1.0)]));
    let heard = merge(&world, THIRD, &[(one, 100.0), (two, 100.0), (three, 100.0)]).await;
    assert_eq!(heard, expected(&[(two, 6.5), (one, 1.0), (three, 0.25)]));
    let heard = merge(&world, NODE, &[(one, 1.0), (two, 2.5), ("p:user:4", 1.0)]).await;
    assert_eq!(heard, expected(&[(two, 104.0), (three, 100.25), (one, 100.0)]));
}

async fn what_one_notes_takes_the_place_of_what_one_noted_before<B: Bed>(world: World<B>) {
    merge(&world, NODE, &[("p:user:1", 1.0), ("p:user:2", 2.0)]).await;
    merge(&world, NODE, &[("p:user:2", 3.0), ("p:user:3", 1.0)]).await;
    let heard = merge(&world, OTHER, &[]).await;
    assert_eq!(heard, expected(&[("p:user:2", 3.0), ("p:user:3", 1.0)]));
    merge(&world, NODE, &[]).await;
    assert_eq!(merge(&world, OTHER, &[]).await, []);
}

async fn every_resource_has_keys_of_its_own<B: Bed>(world: World<B>) {
    merge(&world, NODE, &[("p:user:1", 1.0)]).await;
    for resource in ["p:team", "p:use", "p:user2", "q:user"] {
        let heard = world.tier.merge_hot(OTHER, resource, &[], B::UNIT * 10).await.unwrap();
        assert_eq!(heard, [], "{resource}");
    }
    assert_eq!(merge(&world, OTHER, &[]).await, expected(&[("p:user:1", 1.0)]));
}

async fn what_was_noted_is_forgotten_in_time<B: Bed>(world: World<B>) {
    merge(&world, NODE, &[("p:user:1", 1.0)]).await;
    world.pass(6).await;
    merge(&world, THIRD, &[("p:user:1", 2.0)]).await;
    assert_eq!(merge(&world, OTHER, &[]).await, expected(&[("p:user:1", 3.0)]));
    world.pass(6).await;
    assert_eq!(merge(&world, OTHER, &[]).await, expected(&[("p:user:1", 2.0)]));
}

async fn the_hottest_come_first_and_not_too_many<B: Bed>(world: World<B>) {
    let keys: Vec<_> = (0..1_500).map(|nth| format!("p:user:{nth}")).collect();
    let hot: Vec<_> = keys.iter().map(String::as_str).zip((0..).map(f64::from)).collect();
    for part in [&hot[..700], &hot[700..]] {
        let by = if part.len() == 700 { NODE } else { THIRD };
        merge(&world, by, part).await;
    }
    let heard = merge(&world, OTHER, &[]).await;
    assert_eq!(heard.len(), 1_000);
    assert_eq!(heard[0], ("p:user:1499".to_owned(), 1499.0));
    assert_eq!(heard[999], ("p:user:500".to_owned(), 500.0));
    assert!(heard.is_sorted_by(|(_, one), (_, two)| one >= two));
}

/// Without a resource, under a name that is no key, and with the time of day as the score.
async fn engines_that_note_themselves_are_told_apart_and_forgotten<B: Bed>(world: World<B>) {
    let times = [1_893_456_000_123.0, 1_893_456_000_124.0];
    let names = [NODE, THIRD].map(|node| node.to_string());
    let note = async |by: Node, hot: &[(&str, f64)]| {
        pairs(world.tier.merge_hot(by, "p", hot, B::UNIT * 10).await.unwrap())
    };
    assert_eq!(note(NODE, &[(&names[0], times[0])]).await, []);
    assert_eq!(note(THIRD, &[(&names[1], times[1])]).await, expected(&[(&names[0], times[0])]));
    let both = [(&*names[1], times[1]), (&*names[0], times[0])];
    assert_eq!(note(OTHER, &[]).await, expected(&both));
    // One leaves, and one says nothing any more.
    world.tier.merge_hot(NODE, "p", &[], std::time::Duration::ZERO).await.unwrap();
    assert_eq!(note(OTHER, &[]).await, expected(&both[..1]));
    world.pass(11).await;
    assert_eq!(note(OTHER, &[]).await, []);
}

async fn neighbours_hear_of_each_other<B: Bed>(world: World<B>) {
    let neighbour = world.neighbour().await;
    merge(&world, NODE, &[("p:user:1", 1.0)]).await;
    let heard = neighbour.merge_hot(OTHER, "p:user", &[("p:user:2", 2.0)], B::UNIT * 10).await;
    assert_eq!(pairs(heard.unwrap()), expected(&[("p:user:1", 1.0)]));
    assert_eq!(merge(&world, NODE, &[]).await, expected(&[("p:user:2", 2.0)]));
}
