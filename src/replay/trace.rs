//! Recorded requests, read from a CSV or from the log of a web server.

mod compression;
mod frames;
mod lines;
mod metered;
