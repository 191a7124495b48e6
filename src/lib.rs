//! Portcullis: a SAML gateway.
#![forbid(unsafe_code)]

pub mod domain;

pub mod access;
pub mod provisioning;
pub mod saml;

pub mod telemetry;

pub mod store;

pub mod directory;

pub mod proxy;

pub mod edge;

pub mod admin;

pub mod config;

pub mod commands;
