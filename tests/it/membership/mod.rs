//! The decision table and what owners do, through the ACS of a whole gateway whose IdP says whatever a test wants.
mod commands;
mod holds;
mod owners;
mod people;
mod races;
mod registry;
mod scim;
mod serial;
mod statements;
mod table;
mod unknown;
mod world;
