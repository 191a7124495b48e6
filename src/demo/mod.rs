//! The demo: a gateway, an IdP and an origin server on this machine, and a walk through them that checks itself.
pub mod browser;
mod html;
pub mod origin;
