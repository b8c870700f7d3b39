//! The service over HTTP, as clients meet it.

mod data;
mod described;
mod drain;
mod guard;
mod hostile;
mod injections;
mod operations;
mod reload;
