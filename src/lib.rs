//! Portcullis: a SAML gateway.
//!
//! The modules, in reading order. Each imports only what stands above it; `docs/ARCHITECTURE.md` has the table, and
//! `tests/tidy.rs` holds the code to it.
#![forbid(unsafe_code)]

/// Nouns and newtypes.
pub mod domain;

// Pure: no clock, no chance, no task, no socket.
pub mod access;
pub mod provisioning;
pub mod saml;
pub mod scim;

/// A second verifier, asked about what `saml` accepted.
pub mod second_opinion;

// Where things lie, and who writes them.
pub mod telemetry;

pub mod store;

/// Mail over SMTP.
pub mod mail;

pub mod directory;

/// Connections to servers that settings name.
pub mod outward;

/// The IdP's metadata, fetched and kept up to date.
pub mod metadata;

/// What happened, told to others by signed POSTs.
pub mod webhook;

// What the network sees.
pub mod proxy;

/// The JSON API.
pub mod api;

pub mod edge;

pub mod admin;

// What makes a gateway of it.
pub mod config;

pub mod gateway;

// A world to try it in; shares nothing with the gateway.
pub mod idp;

pub mod demo;

/// What each subcommand does.
pub mod commands;
