//! Integration tests: one binary, so that the crate is linked once.
mod browser;
mod foreign_idp;
mod support;
