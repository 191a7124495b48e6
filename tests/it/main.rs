//! The integration tests: one binary, so that the crate is linked once.
mod browser;
mod foreign_idp;
mod idp;
mod provisioning;
mod sign_in;
mod support;
