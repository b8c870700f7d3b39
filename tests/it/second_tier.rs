//! The engine over SQLite files, sound and broken, and over a tier that does as it is told.

mod fence;
mod paths;
mod restart;
mod told;
mod world;
