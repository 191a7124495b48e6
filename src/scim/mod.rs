//! The protocol of SCIM 2.0, pure: bytes in, decisions and bytes out (RFC 7643, RFC 7644, RFC 9865).
//!
//! In reading order: `limits` and `error`; `json`, how bodies are read; `schema`, which attributes there are; `draft` and
//! `resource`, what a client may say of a user or group, brought into one form; `said`, that it says nothing twice; `document`, what is shown of it; `filter`,
//! `path` and `patch`; `projection`, `sort`, `paging`, `cursor` and `etag`, what a query asks for; `message`, what goes around
//! resources.
//!
//! Ids, times and keys are parameters. Nothing here knows organizations, the store or HTTP.
mod cursor;
pub mod document;
mod draft;
mod error;
mod etag;
pub mod filter;
mod json;
pub mod limits;
pub mod message;
mod paging;
mod patch;
mod path;
mod projection;
mod resource;
mod said;
pub mod schema;
mod sort;
mod value;

pub use self::{
    cursor::{Binding, CursorKey, query_hash},
    document::{Document, Link, Server},
    draft::Draft,
    error::{ERROR_SCHEMA, Reason, ScimError, ScimType},
    etag::{Etags, Version},
    filter::{BoundFilter, Filter, Key, Lookup, Members},
    json::Node,
    message::{
        Bulk, BulkAnswer, BulkCall, BulkMethod, BulkOperation, BulkResponse, BulkTarget, ListResponse, Search,
    },
    paging::{Page, Start},
    patch::{MembersChange, Patch, Patched},
    path::Path,
    projection::{MemberShape, Projection},
    resource::{Email, Resource},
    schema::{Attribute, Named, ResourceType, Schema, Target},
    sort::Sort,
};

/// How long a body may be that is sent to the endpoint of `kind`.
pub fn body_bytes_max(kind: ResourceType) -> usize {
    match kind {
        ResourceType::User => limits::USER_BODY_BYTES_MAX,
        ResourceType::Group => limits::GROUP_BODY_BYTES_MAX,
    }
}

#[cfg(test)]
mod tests;
