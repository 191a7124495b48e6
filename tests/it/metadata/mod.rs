//! Metadata: reading an IdP's, taking it up while the gateway runs, writing ours, the commands.
mod document;
mod import;
mod own;
mod read;
mod refresh;
mod reload;
mod server;
