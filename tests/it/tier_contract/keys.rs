//! A key may hold any text, and is taken for no other.

use super::{Bed, Case, World};

pub(super) fn cases<B: Bed>() -> Vec<Case<B>> {
    vec![
        Case::of(keys_of_any_text_are_kept_apart),
        Case::of(keys_of_any_text_are_invalidated_alone),
        Case::of(long_keys_are_told_apart_by_their_last_byte),
    ]
}

/// Texts that mean something to one store or another, and pairs that some would take for one.
const TEXTS: [&str; 31] = [
    "plain",
    "Plain",
    "plain ",
    " plain",
    "'",
    "''",
    "\"",
    "`",
    "\\",
    "\\\\",
    "%",
    "%%",
    "_",
    "*",
    "?",
    "[a-z]",
    "{p:user}",
    "$1",
    "?1",
    ":1",
    "@a",
    ";",
    "--",
    "/*",
    "null",
    "\n",
    "\r\n",
    "\t",
    "\u{e9}",
    "e\u{301}",
    "\u{1f600}",
];

async fn keys_of_any_text_are_kept_apart<B: Bed>(world: World<B>) {
    let keys = TEXTS.map(|text| format!("p:user:{text}"));
    for key in &keys {
        world.load(key, key.as_bytes()).await;
    }
    for key in &keys {
        assert_eq!(world.value(key).await, key.as_bytes(), "{key:?}");
    }
}

async fn keys_of_any_text_are_invalidated_alone<B: Bed>(world: World<B>) {
    let keys = TEXTS.map(|text| format!("p:user:{text}"));
    for key in &keys {
        world.put(key, key.as_bytes()).await;
    }
    for (nth, key) in keys.iter().enumerate() {
        world.invalidate(key).await;
        world.is_missing(key).await;
        for other in &keys[nth + 1..] {
            assert_eq!(world.value(other).await, other.as_bytes(), "{other:?} after {key:?}");
        }
    }
}

async fn long_keys_are_told_apart_by_their_last_byte<B: Bed>(world: World<B>) {
    let long = "x".repeat(1016);
    let [one, two] = ["1", "2"].map(|end| format!("p:user:{long}{end}"));
    assert_eq!(one.len(), 1024);
    world.load(&one, b"one").await;
    world.load(&two, b"two").await;
    assert_eq!(world.value(&one).await, b"one");
    world.invalidate(&one).await;
    assert_eq!(world.value(&two).await, b"two");
}
