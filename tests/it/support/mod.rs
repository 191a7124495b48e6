//! What integration tests stand on: child processes, a real browser, a real Redis, an IdP of other
//! hands, and whole gateways.
pub mod call;
pub mod certificates;
pub mod foreign;
pub mod forged_idp;
pub mod gateway;
pub mod layer;
pub mod mail_server;
pub mod people;
pub mod ports;
pub mod process;
pub mod pysaml2;
pub mod python;
pub mod redis;
pub mod redis_sets;
pub mod simplesamlphp;
pub mod tenants;
pub mod webdriver;
