//! What is remembered across restarts: any bytes are read without a panic, whatever they claim to be.
#![no_main]

use forewarm::fuzzing::{is_memory, seal};
use libfuzzer_sys::fuzz_target;

/// What a file begins with: magic and format.
const HEADER: &[u8] = b"forewarm\x01";

fuzz_target!(|bytes: &[u8]| {
    let _ = is_memory(bytes);
    let mut sealed = [HEADER, bytes, &[0; 8]].concat();
    seal(&mut sealed);
    let _ = is_memory(&sealed);
});
