//! SCIM through the program as it ships: many clients at two processes, and processes that are killed while they work.
mod caller;
mod deletions;
mod killing;
mod kills;
mod patches;
mod world;
