//! What Mithril reaches with these traces.
//!
//! Source: libCacheSim's Mithril in front of an LRU, the best of four configurations in each cell,
//! whatever it costs: the defaults; a mining threshold of 512; the same, with each request
//! recorded; and that with a lookahead of 50 and lists of 4. Objects of 4 KiB, whole traces.

use crate::traces::{
    APACHE, CLOUDPHYSICS, CORDA, ERDDAP, NASA, ORM, SCARAB, SDSC, SIZES, W106, WEB07, WEB12,
    WIKISPEEDIA,
};

/// A cell of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mithril {
    /// Rounded to three decimals.
    pub(crate) miss_ratio: f64,
    /// Loads more than those of LRU, in percent.
    pub(crate) extra: u32,
}

type Cells = [(f64, u32); SIZES.len()];

/// Miss ratio and extra loads at 1, 5 and 10 % of the different keys.
const TABLE: [(&str, Cells); 12] = [
    (NASA, [(0.641, 16), (0.327, 55), (0.226, 99)]),
    (SDSC, [(0.691, 22), (0.349, 132), (0.243, 104)]),
    (WIKISPEEDIA, [(0.782, 0), (0.612, 127), (0.474, 102)]),
    (APACHE, [(0.713, 0), (0.395, 21), (0.317, 15)]),
    (ERDDAP, [(0.847, 0), (0.744, 11), (0.695, 17)]),
    (CLOUDPHYSICS, [(0.824, 2), (0.731, 2), (0.694, 2)]),
    (WEB12, [(0.609, 5), (0.408, 65), (0.313, 74)]),
    (WEB07, [(0.609, 0), (0.490, 46), (0.439, 25)]),
    (CORDA, [(0.667, 0), (0.667, 0), (0.667, 0)]),
    (ORM, [(0.175, 5), (0.087, 12), (0.073, 23)]),
    (SCARAB, [(0.555, 20), (0.397, 30), (0.338, 22)]),
    (W106, [(0.188, 18), (0.078, 17), (0.059, 51)]),
];

/// How many cells there are.
pub(crate) const CELLS: usize = TABLE.len() * SIZES.len();

/// The cell of a trace at a size in percent.
pub(crate) fn cell(trace: &str, size: u32) -> Option<Mithril> {
    let (_name, cells) = TABLE.iter().find(|(name, _cells)| *name == trace)?;
    let mut sized = SIZES.iter().zip(cells);
    let (_size, (miss_ratio, extra)) = sized.find(|(at, _cell)| **at == size)?;
    Some(Mithril { miss_ratio: *miss_ratio, extra: *extra })
}
