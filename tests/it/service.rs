//! The service over HTTP, as clients meet it.

mod data;
mod drain;
mod guard;
mod hostile;
mod operations;
mod reload;
