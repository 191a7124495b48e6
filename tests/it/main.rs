//! The integration tests: one binary, so that the crate is linked once.
mod browser;
mod cli;
mod foreign_idp;
mod idp;
mod provisioning;
mod sign_in;
mod store;
mod store_embedded;
mod store_redis;
mod support;
