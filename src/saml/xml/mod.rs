//! XML for SAML's restricted profile: a raw scan, one strict parse into a flat [`Tape`], and exclusive C14N of it.
mod attributes;
mod canonical;
mod names;
mod parse;
mod scan;
mod tape;
mod text;

pub(super) use canonical::{Canonicalizer, PrefixList};
pub(super) use names::is_ncname;
pub(super) use parse::parse;
pub(super) use scan::scan;
pub(super) use tape::{Namespace, NodeId, Tape};
