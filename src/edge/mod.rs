//! The public listener: every request from the internet enters here.
//!
//! `listener` accepts, `framing` watches the octets, `worker` knows which gate is in use, `gate` leads a request through, `callers` knows who it comes from, `router` knows our own endpoints, `metadata` and
//! `sign_in` with the `forms` that it shows serve them, `transport` and `binding` are what they share, `record` tells of what was done, `respond` has every error, `pages` what
//! people read of it. `invitations` and `recovery` are pages of our own, whose forms `own_forms` reads; `json_api` and `scim` hand calls of programs over.
use std::net::SocketAddr;

use crate::api;

mod binding;
mod callers;
pub mod cookies;
mod form_fields;
mod forms;
pub mod framing;
pub mod gate;
mod hints;
pub mod invitations;
mod json_api;
pub mod listener;
pub mod logout;
pub mod metadata;
mod own_forms;
pub mod pages;
pub mod record;
pub mod recovery;
pub mod respond;
pub mod router;
mod scim;
pub mod sign_in;
pub mod transport;
pub mod worker;

/// The public listener's limits and addresses.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub listen: SocketAddr,
    /// Threads that serve; each has its own listener, runtime and origin connections.
    pub workers: usize,
    pub public_url: PublicUrl,
    pub header_bytes_max: usize,
    pub header_read_millis_max: u64,
    /// Of a POST to the ACS.
    pub acs_body_bytes_max: usize,
    pub acs_body_read_millis_max: u64,
    /// How long a person may take at the IdP.
    pub sign_in_seconds_max: u32,
    /// Sign-ins that one browser may have under way; the oldest gives way.
    pub pending_sign_ins_max: usize,
    pub api_limits: api::Limits,
    /// What people read when something did not work.
    pub pages: pages::Pages,
    /// The host that is the gateway's alone: nowhere else it serves what a session opens of its own.
    pub own_host: Option<String>,
}

/// Where browsers reach the gateway. Every URL that we hand out is built from it, never from a Host field (P-40).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// `http` (only on loopback, in development mode) or `https`.
    pub scheme: String,
    /// Host, with the port unless it is the scheme's default; lower case.
    pub authority: String,
}

impl PublicUrl {
    /// `https://gate.example.com`
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}
