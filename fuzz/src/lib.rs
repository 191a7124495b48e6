//! The properties that the fuzz targets assert, one module each, over the gateway's pure modules.
//!
//! The modules are the gateway's own files. They need no runtime, store or network, so nothing of that is built here.
#![forbid(unsafe_code)]

// Some of it serves modules that are not here.
#[allow(unused_imports)]
#[path = "../../src/domain/mod.rs"]
pub mod domain;
#[path = "../../src/saml/mod.rs"]
pub mod saml;
#[allow(unused_imports)]
#[path = "../../src/scim/mod.rs"]
pub mod scim;

pub mod canonical;
pub mod decrypt;
pub mod logout;
pub mod metadata;
pub mod parse;
pub mod redirect;
pub mod responses;
pub mod scim_filter;
pub mod scim_members;
pub mod scim_patch;
pub mod scim_resource;
pub mod verify;
