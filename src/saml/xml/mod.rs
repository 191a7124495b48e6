//! XML for SAML's restricted profile: a raw scan, one strict parse into a flat [`Tape`], exclusive C14N of it,
//! and the parse of what C14N wrote.
mod attributes;
mod builder;
mod canonical;
mod find;
mod names;
mod parse;
mod repeats;
mod reread;
mod scan;
mod tape;
mod text;
mod uri;

pub(super) use canonical::{Canonicalizer, PrefixList};
pub(super) use names::is_ncname;
pub(super) use parse::parse;
pub(super) use reread::reread;
pub(super) use scan::scan;
pub(super) use tape::{Namespace, NodeId, Tape};
