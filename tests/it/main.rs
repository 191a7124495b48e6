//! The integration tests: one binary.
mod idp;
