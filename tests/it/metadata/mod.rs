//! Metadata: reading an IdP's, taking it up while the gateway runs, writing ours, the commands.
pub mod document;
mod import;
mod own;
pub mod read;
pub mod refresh;
mod reload;
pub mod server;
mod syscalls;
mod table;
