//! SCIM over HTTP, through whole gateways.
mod bulk;
mod client;
mod cursors;
mod decisions;
mod dialects;
mod differential;
mod held;
mod lists;
mod protocol;
mod queries;
mod streams;
mod tenants;
mod tester;
mod tokens;
mod world;
