//! The one integration binary.
mod saml;
