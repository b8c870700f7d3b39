//! How a file is packed.

use std::fmt;
use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

use super::frames::Frames;

/// How a file is packed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Compression {
    Plain,
    Gzip,
    Xz,
    Zstd,
}

/// What is read from a file at a time.
const CHUNK_BYTES: usize = 1 << 16;
/// `xz -9` needs 65 MiB; a stream that asks for more than this is damaged or hostile.
const XZ_KIB_MAX: u32 = 256 << 10;

impl Compression {
    /// As many bytes of a file as are needed to tell.
    const MAGIC_BYTES: usize = 6;

    /// Finds out how a source is packed, and unpacks it.
    ///
    /// # Errors
    ///
    /// The source cannot be read.
    pub(super) fn open<'a>(source: impl Read + 'a) -> io::Result<(Self, Box<dyn Read + 'a>)> {
        let mut source = BufReader::with_capacity(CHUNK_BYTES, source);
        let mut head = Vec::new();
        source.by_ref().take(Self::MAGIC_BYTES as u64).read_to_end(&mut head)?;
        let compression = Self::of(&head);
        Ok((compression, compression.unpack(Cursor::new(head).chain(source))))
    }

    fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            // `pzstd` begins with a frame to be skipped.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    fn unpack<'a>(self, packed: impl BufRead + 'a) -> Box<dyn Read + 'a> {
        match self {
            Self::Plain => Box::new(packed),
            Self::Gzip => Box::new(MultiGzDecoder::new(packed)),
            Self::Xz => Box::new(XzReader::new_mem_limit(packed, true, XZ_KIB_MAX)),
            Self::Zstd => Box::new(Frames::new(packed)),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `gzip -9n`, `xz -9` and `zstd -19` make of [`text`].
    const PACKED: [(Compression, &[u8]); 3] = [
        (
            Compression::Gzip,
            &[
                0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x2b, 0xc9, 0xcc, 0x4d,
                0x2d, 0x2e, 0x49, 0xcc, 0x2d, 0x88, 0x2f, 0xd6, 0xc9, 0x4e, 0xad, 0xe4, 0x32, 0xd4,
                0x29, 0x2d, 0x4e, 0x2d, 0x1a, 0x4e, 0x14, 0x00, 0x55, 0xbf, 0xfd, 0x06, 0xe2, 0x00,
                0x00, 0x00,
            ],
        ),
        (
            Compression::Xz,
            &[
                0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00,
                0x21, 0x01, 0x1c, 0x00, 0x00, 0x00, 0x10, 0xcf, 0x58, 0xcc, 0xe0, 0x00, 0xe1, 0x00,
                0x1d, 0x5d, 0x00, 0x3a, 0x1a, 0x49, 0xfa, 0xe4, 0x1e, 0x7a, 0x07, 0xe8, 0x7e, 0x4f,
                0x13, 0x0e, 0x85, 0x8b, 0xd4, 0xea, 0x7c, 0x9a, 0x89, 0x68, 0xc4, 0x2b, 0x02, 0x7c,
                0xc6, 0x24, 0xa0, 0x00, 0x00, 0x00, 0x00, 0x00, 0xdc, 0xed, 0x98, 0x0f, 0x7a, 0xe4,
                0xab, 0x8a, 0x00, 0x01, 0x39, 0xe2, 0x01, 0x00, 0x00, 0x00, 0x62, 0x71, 0x88, 0x0a,
                0xb1, 0xc4, 0x67, 0xfb, 0x02, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5a,
            ],
        ),
        (
            Compression::Zstd,
            &[
                0x28, 0xb5, 0x2f, 0xfd, 0x24, 0xe2, 0xed, 0x00, 0x00, 0xb0, 0x74, 0x69, 0x6d, 0x65,
                0x73, 0x74, 0x61, 0x6d, 0x70, 0x5f, 0x73, 0x2c, 0x6b, 0x65, 0x79, 0x0a, 0x31, 0x2c,
                0x75, 0x73, 0x65, 0x72, 0x01, 0x00, 0x92, 0xa2, 0x4a, 0x13, 0xa3, 0x0a, 0x86, 0x45,
            ],
        ),
    ];
    /// A frame of four bytes that readers of zstd skip.
    const SKIPPED: [u8; 12] = [0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4];

    fn text() -> Vec<u8> {
        format!("timestamp_s,key\n{}", "1,user\n".repeat(30)).into_bytes()
    }

    fn unpack(packed: &[u8]) -> (Compression, io::Result<Vec<u8>>) {
        let (compression, mut unpacked) = Compression::open(packed).unwrap();
        let mut bytes = Vec::new();
        let read = unpacked.read_to_end(&mut bytes);
        (compression, read.map(|_length| bytes))
    }

    #[test]
    fn it_is_told_by_the_first_bytes() {
        for (compression, packed) in PACKED {
            let (told, unpacked) = unpack(packed);
            assert_eq!((told, unpacked.unwrap()), (compression, text()));
        }
        let (told, unpacked) = unpack(&text());
        assert_eq!((told, unpacked.unwrap()), (Compression::Plain, text()));
    }

    #[test]
    fn all_parts_of_a_file_are_unpacked() {
        for (compression, packed) in PACKED {
            let unpacked = unpack(&packed.repeat(3)).1.unwrap();
            assert_eq!(unpacked, text().repeat(3), "{compression}");
        }
        let [.., (_, zstd)] = PACKED;
        let parts = [&SKIPPED, zstd, &SKIPPED, &SKIPPED, zstd, &SKIPPED].concat();
        assert_eq!(unpack(&parts).1.unwrap(), text().repeat(2));
    }

    #[test]
    fn a_file_that_is_cut_off_is_an_error() {
        for (compression, packed) in PACKED {
            for length in Compression::MAGIC_BYTES..packed.len() {
                let (told, unpacked) = unpack(&packed[..length]);
                assert_eq!(told, compression);
                assert!(unpacked.is_err(), "{compression} after {length} bytes");
            }
        }
        for length in 4..SKIPPED.len() {
            assert!(unpack(&SKIPPED[..length]).1.is_err(), "skipped after {length} bytes");
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_or_the_damage_does_not_matter() {
        for (compression, packed) in PACKED {
            for at in Compression::MAGIC_BYTES..packed.len() {
                for bit in 0..8 {
                    let mut damaged = packed.to_vec();
                    damaged[at] ^= 1 << bit;
                    if let Ok(unpacked) = unpack(&damaged).1 {
                        assert_eq!(unpacked, text(), "{compression}, bit {bit} of byte {at}");
                    }
                }
            }
        }
    }
}
