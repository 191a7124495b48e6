//! Every attack of the security checklist against the ACS over HTTP, and what is owed for each: an answer that says nothing,
//! one audit event with the reason, and no effect anywhere.
mod audit;
mod binding;
mod identities;
mod replays;
mod store;
mod table;
mod tenants;
pub mod world;
