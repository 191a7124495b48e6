//! The JSON API, over HTTP, before a store that people of two enterprises lie in.
pub mod client;
mod flows;
mod foreign;
mod schemathesis;
mod secrets;
mod strict;
pub mod world;
