//! Ways into the crate for the fuzz targets in `fuzz/`, which no user sees.

use std::path::Path;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::memory;
use crate::replay::trace::Trace;
use crate::tier::Codec;

/// A value with everything that encodings differ in: numbers, options, texts, sequences.
pub type Value = (u64, Option<String>, Vec<String>);

/// The codec of a resource.
#[derive(Debug)]
pub struct Envelopes(Codec<Value>);

impl Envelopes {
    /// A codec with these limits, in bytes.
    #[must_use]
    pub fn new(schema: u32, compress_over: usize, value_bytes_max: usize) -> Self {
        Self(Codec::new().with(schema, compress_over, value_bytes_max))
    }

    /// The envelope of a value or of its absence, if it has one.
    #[must_use]
    pub fn encode(&self, full_key: &str, value: Option<&Value>) -> Option<Vec<u8>> {
        self.0.encode(full_key, value).ok().map(|(envelope, _)| envelope)
    }

    /// The value in an envelope or its absence, if the envelope can be read.
    #[must_use]
    pub fn decode(&self, full_key: &str, bytes: &[u8]) -> Option<Option<Value>> {
        self.0.decode(full_key, bytes).ok().map(|(value, _)| value)
    }
}

/// Puts the checksum that fits at the end of an envelope, so that what lies behind it is reached.
pub fn seal(envelope: &mut [u8]) {
    if let Some((sealed, checksum)) = envelope.split_last_chunk_mut() {
        *checksum = xxh3_64(sealed).to_le_bytes();
    }
}

/// Whether these bytes are those of a memory across restarts; what is in them is read.
#[must_use]
pub fn is_memory(bytes: &[u8]) -> bool {
    memory::is_readable(bytes)
}

/// The requests in a file of these bytes: time, key, client.
///
/// # Errors
///
/// What the reader of the file says.
pub fn read_trace(bytes: &[u8]) -> Result<Vec<(Duration, u32, Option<u32>)>, String> {
    let trace = Trace::read_from(bytes, Path::new("fuzzed"), None, |_bytes| {});
    let requests = trace.map_err(|error| error.to_string())?.requests;
    Ok(requests.iter().map(|request| (request.at, request.key, request.client)).collect())
}
