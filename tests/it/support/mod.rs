//! What integration tests stand on: child processes, a small HTTP client, a real browser, an IdP of other hands.
pub mod html;
pub mod http;
pub mod pages;
pub mod ports;
pub mod process;
pub mod simplesamlphp;
pub mod webdriver;
