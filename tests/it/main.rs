//! The integration tests: one binary.
mod store;
mod store_alike;
mod store_embedded;
mod store_redis;
mod store_tls;
mod support;
