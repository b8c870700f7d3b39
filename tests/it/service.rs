//! The service over HTTP, as clients meet it.

mod data;
mod drain;
mod guard;
mod operations;
mod reload;
