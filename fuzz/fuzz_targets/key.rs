//! Keys: whatever is read is written as it was, and different keys have different texts.
#![no_main]

use forewarm::{FullKey, Segments};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, [&str; 3], Vec<String>, Vec<String>)| {
    let (text, [prefix, resource, rest], left, right) = input;
    reads_back(text);

    let full = FullKey { prefix, resource, text: rest }.to_string();
    reads_back(&full);
    if let Some(key) = FullKey::parse(&full)
        && !prefix.contains(':')
        && !resource.contains(':')
    {
        assert_eq!((key.prefix, key.resource, key.text), (prefix, resource, rest));
    }

    let (left, right) = (Segments::new(left), Segments::new(right));
    assert_eq!(left == right, left.to_string() == right.to_string());
    assert_eq!(left.to_string().parse(), Ok(left));
});

fn reads_back(text: &str) {
    if let Some(key) = FullKey::parse(text) {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(key) = text.parse::<Segments>() {
        assert_eq!(key.to_string(), text);
    }
}
