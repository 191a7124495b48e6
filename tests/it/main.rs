//! The integration tests: one binary.
mod store;
mod store_embedded;
mod store_redis;
mod support;
