//! How far into a file its reader is.

use std::io::{self, Read};

/// A source that tells how many bytes have been read from it.
pub(super) struct Metered<R, P> {
    source: R,
    progress: P,
    bytes: u64,
}

impl<R, P> Metered<R, P> {
    pub(super) const fn new(source: R, progress: P) -> Self {
        Self { source, progress, bytes: 0 }
    }
}

impl<R: Read, P: FnMut(u64)> Read for Metered<R, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.bytes += read as u64;
        (self.progress)(self.bytes);
        Ok(read)
    }
}
