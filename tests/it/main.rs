//! The integration tests: one binary.
mod access;
mod gate_rig;
mod proxy;
mod streaming;
