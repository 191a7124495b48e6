//! The JSON API, over HTTP, before a store that people of two enterprises lie in.
mod audit;
pub mod client;
mod flows;
mod foreign;
mod often;
mod schemathesis;
mod secrets;
mod strict;
pub mod world;
