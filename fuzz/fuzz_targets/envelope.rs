//! Envelopes: any bytes are read without a panic, and no changed envelope is taken for whole.
#![no_main]

use forewarm::fuzzing::{Envelopes, Value, seal};
use libfuzzer_sys::fuzz_target;

const SCHEMA: u32 = 3;
const COMPRESS_OVER: usize = 16;
const VALUE_BYTES_MAX: usize = 1 << 16;

fuzz_target!(|input: (&str, Option<Value>, Vec<(u16, u8)>, &[u8])| {
    let (key, value, changes, bytes) = input;
    let codec = Envelopes::new(SCHEMA, COMPRESS_OVER, VALUE_BYTES_MAX);

    let _ = codec.decode(key, bytes);
    let _ = codec.decode(key, &sealed(bytes.to_vec()));

    let Some(envelope) = codec.encode(key, value.as_ref()) else { return };
    assert_eq!(codec.decode(key, &envelope), Some(value.clone()));

    let mut changed = envelope;
    for (at, by) in changes {
        let at = usize::from(at) % changed.len();
        changed[at] ^= by;
    }
    if let Some(read) = codec.decode(key, &changed) {
        assert_eq!(read, value);
    }
    let _ = codec.decode(key, &sealed(changed));
});

fn sealed(mut envelope: Vec<u8>) -> Vec<u8> {
    seal(&mut envelope);
    envelope
}
