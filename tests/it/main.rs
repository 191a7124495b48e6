//! The integration tests: one binary, so that the crate is linked once.
mod access;
mod browser;
mod foreign_idp;
mod gate_rig;
mod idp;
mod inspect;
mod provisioning;
mod proxy;
mod sessions;
mod sign_in;
mod store;
mod store_alike;
mod store_embedded;
mod store_redis;
mod store_tls;
mod streaming;
mod support;
