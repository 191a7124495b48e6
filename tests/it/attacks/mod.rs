//! Every attack of the security checklist against the ACS over HTTP, and what is owed for each: an answer that says nothing,
//! one audit event with the reason, and no effect anywhere.
pub mod audit;
pub mod binding;
mod identities;
pub mod program;
mod quadratic;
mod replays;
pub mod store;
pub mod syscalls;
mod table;
pub mod tenants;
pub mod world;
