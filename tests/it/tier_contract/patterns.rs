//! Keys are invalidated by patterns, and nothing but them.

use std::collections::BTreeSet;

use fastrand::Rng;
use forewarm::{Begun, Filled, Pattern, Permit, Selector, Tier as _};

use super::NODE;
use super::world::{copying, fill, freshening};
use super::{Bed, Case, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(the_keys_that_match_are_gone),
        Case::of(a_pattern_is_for_its_own_resource_only),
        Case::of(signs_of_the_store_stand_for_themselves),
        Case::of(every_store_reads_a_pattern_alike),
        Case::of(a_void_value_is_given_to_nobody),
        Case::of(loads_that_began_before_are_refused),
        Case::of(a_key_whose_load_is_void_is_not_busy),
        Case::of(loads_that_begin_after_are_stored),
        Case::of(what_is_put_after_is_served),
        Case::of(the_longest_pattern_is_heeded),
        Case::of(a_pattern_that_cannot_be_read_is_not_passed_over),
        Case::of(more_patterns_than_are_remembered_are_all_void),
    ]
}

/// Which of some texts are gone from a resource after a pattern was invalidated.
async fn gone<B: Bed>(world: &World<B>, pattern: &str, texts: &[&str]) -> Vec<bool> {
    let keys: Vec<_> = texts.iter().map(|text| format!("p:user:{text}")).collect();
    let puts: Vec<_> = keys.iter().map(|key| fill::<B>(key, Permit(0), b"Ada")).collect();
    world.put_all(&puts).await;
    world.invalidate_pattern("p:user", pattern).await;
    world.which(&keys).await.into_iter().map(|is_there| !is_there).collect()
}

async fn the_keys_that_match_are_gone<B: Bed>(world: World<B>) {
    let texts = ["42:daily", "42:", "42", "421:daily", "142:daily", "x:42:daily"];
    for (pattern, expected) in [
        ("42:*", [true, true, false, false, false, false]),
        ("*:daily", [true, false, false, true, true, true]),
        ("42", [false, false, true, false, false, false]),
        ("4?", [false, false, true, false, false, false]),
        ("?*42*", [false, false, false, false, true, true]),
        ("*", [true; 6]),
        ("user:*", [false; 6]),
    ] {
        assert_eq!(gone(&world, pattern, &texts).await, expected, "{pattern}");
    }
}

async fn a_pattern_is_for_its_own_resource_only<B: Bed>(world: World<B>) {
    let others = ["p:user2:1", "p:use:1", "q:user:1", "p:team:1", "p:User:1", "p:team:p:user:1"];
    for key in others {
        world.load(key, key.as_bytes()).await;
    }
    world.load("p:user:1", b"Ada").await;
    world.invalidate_pattern("p:user", "*").await;
    world.is_missing("p:user:1").await;
    for key in others {
        assert_eq!(world.value(key).await, key.as_bytes());
    }
}

async fn signs_of_the_store_stand_for_themselves<B: Bed>(world: World<B>) {
    let signs =
        ["[a]", "[^a]", "]", "[", "%", "_", "^", "-", "{a}", "(a)", ".", "$", "'", "\"", "%a"];
    let texts = ["a", "aa", "b", "A", ""];
    for sign in signs {
        let texts: Vec<_> = texts.into_iter().chain(signs).collect();
        let expected: Vec<_> = texts.iter().map(|text| *text == sign).collect();
        assert_eq!(gone(&world, sign, &texts).await, expected, "{sign}");
    }
    let texts = ["*", "?", "\\", "a", "**", "\\*", "ab"];
    for (pattern, expected) in [
        (r"\*", [true, false, false, false, false, false, false]),
        (r"\?", [false, true, false, false, false, false, false]),
        (r"\\", [false, false, true, false, false, false, false]),
        (r"\a", [false, false, false, true, false, false, false]),
        (r"\\\*", [false, false, false, false, false, true, false]),
        ("A", [false; 7]),
        ("?", [true, true, true, true, false, false, false]),
    ] {
        assert_eq!(gone(&world, pattern, &texts).await, expected, "{pattern}");
    }
}

/// Characters that patterns are made of, those that stores give a meaning to, and some that are
/// more than one byte long.
const SIGNS: [char; 22] = [
    '*',
    '*',
    '?',
    '?',
    '\\',
    '\\',
    'a',
    'a',
    'b',
    'B',
    '[',
    ']',
    '^',
    '-',
    '!',
    '%',
    '_',
    ':',
    '"',
    '\'',
    '\u{e9}',
    '\u{1f600}',
];

fn text(rng: &mut Rng, signs: &[char], length_max: usize) -> String {
    let length = rng.usize(0..=length_max);
    (0..length).filter_map(|_| rng.choice(signs)).collect()
}

/// Patterns that can be read, and texts of which each pattern may match some.
fn patterns_and_texts(rng: &mut Rng) -> (Vec<Pattern>, Vec<String>) {
    let mut patterns = Vec::new();
    while patterns.len() < 60 {
        patterns.extend(text(rng, &SIGNS, 6).parse::<Pattern>());
    }
    let mut texts: BTreeSet<_> = (0..30).map(|_| text(rng, &SIGNS, 5)).collect();
    for pattern in &patterns {
        // A text that matches it more often than not.
        let chars = pattern.as_str().chars();
        texts.insert(chars.map(|sign| if "*?".contains(sign) { 'a' } else { sign }).collect());
        texts.insert(pattern.as_str().replace('\\', ""));
    }
    (patterns, texts.into_iter().collect())
}

async fn every_store_reads_a_pattern_alike<B: Bed>(world: World<B>) {
    let (patterns, texts) = patterns_and_texts(&mut Rng::with_seed(1));
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let mut matches = 0;
    for pattern in patterns {
        let expected: Vec<_> = texts.iter().map(|text| pattern.matches(text)).collect();
        matches += expected.iter().filter(|matches| **matches).count();
        let gone = gone(&world, pattern.as_str(), &texts).await;
        for ((text, gone), expected) in texts.iter().zip(gone).zip(expected) {
            assert_eq!(gone, expected, "{:?} on {text:?}", pattern.as_str());
        }
    }
    assert!(matches > 100, "{matches} matches show little");
}

async fn a_void_value_is_given_to_nobody<B: Bed>(world: World<B>) {
    world.load("p:user:1", b"Ada").await;
    world.invalidate_pattern("p:user", "?").await;
    assert_eq!(world.begin(&[copying("p:user:1")]).await, [Begun::Miss]);
    assert_eq!(world.begin(&[freshening("p:user:1")]).await, [Begun::Permit]);
    assert_eq!(world.ask("p:user:1").await, Begun::Busy);
}

async fn loads_that_began_before_are_refused<B: Bed>(world: World<B>) {
    let one = world.loading("p:user:1").await;
    world.load("p:user:12", b"Ada").await;
    let renewing = world.renewing("p:user:12").await;
    let other = world.loading("p:user:2").await;
    world.invalidate_pattern("p:user", "1*").await;
    assert_eq!(world.fill("p:user:1", one, b"old").await, Filled::Refused);
    assert_eq!(world.fill("p:user:12", renewing, b"old").await, Filled::Refused);
    assert_eq!(world.fill("p:user:2", other, b"new").await, Filled::Stored);
    world.is_missing("p:user:1").await;
    world.is_missing("p:user:12").await;
}

async fn a_key_whose_load_is_void_is_not_busy<B: Bed>(world: World<B>) {
    let old = world.loading("p:user:1").await;
    world.loading("p:user:2").await;
    world.invalidate_pattern("p:user", "1").await;
    assert_eq!(world.ask("p:user:2").await, Begun::Busy);
    let new = world.loading("p:user:1").await;
    assert_eq!(world.fill("p:user:1", old, b"old").await, Filled::Refused);
    assert_eq!(world.fill("p:user:1", new, b"new").await, Filled::Stored);
}

async fn loads_that_begin_after_are_stored<B: Bed>(world: World<B>) {
    for _ in 0..3 {
        world.invalidate_pattern("p:user", "*").await;
        world.load("p:user:1", b"Ada").await;
        assert_eq!(world.value("p:user:1").await, b"Ada");
    }
}

async fn what_is_put_after_is_served<B: Bed>(world: World<B>) {
    let old = world.loading("p:user:1").await;
    world.invalidate_pattern("p:user", "*").await;
    world.put("p:user:1", b"new").await;
    assert_eq!(world.fill("p:user:1", old, b"old").await, Filled::Refused);
    assert_eq!(world.value("p:user:1").await, b"new");
}

async fn the_longest_pattern_is_heeded<B: Bed>(world: World<B>) {
    let long = "[".repeat(504);
    for (start, end) in [("", ""), ("*", "*"), (r"\*", "?*?*?*")] {
        let pattern = format!("{start}{long}{end}");
        let key = pattern.replace(['*', '\\'], "").replace('?', "x");
        let text = if start == r"\*" { format!("*{key}") } else { key };
        let shorter = &text[1..];
        assert_eq!(gone(&world, &pattern, &[&text, shorter]).await, [true, false], "{start}");
    }
}

async fn a_pattern_that_cannot_be_read_is_not_passed_over<B: Bed>(world: World<B>) {
    for pattern in ["", "1\\", "*1*2*3*4*5*6*7*8*9", "\n"] {
        world.put("p:user:1", b"Ada").await;
        let selector = Selector::Pattern { resource: "p:user", pattern };
        if world.tier.invalidate(NODE, &[selector.into()]).await.is_ok() {
            world.is_missing("p:user:1").await;
        }
    }
}

async fn more_patterns_than_are_remembered_are_all_void<B: Bed>(world: World<B>) {
    let texts: Vec<_> = (0..300).map(|nth| format!("{nth}x")).collect();
    let chosen = [0, 1, 127, 128, 255, 299];
    let keys = chosen.map(|nth| format!("p:user:{}", texts[nth]));
    let puts: Vec<_> = keys.iter().map(|key| fill::<B>(key, Permit(0), b"Ada")).collect();
    world.put_all(&puts).await;
    let loading = world.loading("p:user:2x").await;
    world.load("p:team:0x", b"A").await;
    for texts in texts.chunks(100) {
        let selector = |pattern| Selector::Pattern { resource: "p:user", pattern };
        let selectors: Vec<_> = texts.iter().map(|text| selector(text)).collect();
        world.select_all(&selectors).await;
    }
    assert_eq!(world.which(&keys).await, [false; 6]);
    assert_eq!(world.fill("p:user:2x", loading, b"old").await, Filled::Refused);
    assert_eq!(world.value("p:team:0x").await, b"A");
    world.load(&keys[0], b"new").await;
    assert_eq!(world.value(&keys[0]).await, b"new");
}
