//! PATCH (RFC 7644 3.5.2): read, and carried out on a resource, all of it or nothing.
//!
//! Members of a group are not needed for it: what happens to them comes out as a [`MembersChange`].
mod apply;
mod members;
mod read;
mod select;

pub use self::members::MembersChange;
use super::{Node, Resource, ResourceType, error::ScimError, path::Place};
use crate::domain::ScimId;

/// A PATCH request for one type of resources.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    kind: ResourceType,
    operations: Vec<Operation>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
struct Operation {
    act: Act,
    place: Option<Place>,
    value: Option<Node>,
}

/// RFC 7644 3.5.2, `op`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Add,
    Replace,
    Remove,
}

/// What a PATCH makes of a resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Patched {
    pub resource: Resource,
    /// Whether the resource is another one now, its members aside (RFC 7644 3.5.2.1: if not, neither its version nor its
    /// `lastModified` changes).
    pub changed: bool,
    pub members: MembersChange,
}

impl Patch {
    /// Reads the body of a PATCH to a resource of `kind`.
    pub fn parse(kind: ResourceType, body: &[u8]) -> Result<Self, ScimError> {
        Self::read(kind, Node::parse_object(body, super::body_bytes_max(kind))?)
    }

    /// The same of what was parsed already, such as the data of a Bulk operation.
    pub fn read(kind: ResourceType, body: Node) -> Result<Self, ScimError> {
        Ok(Self { kind, operations: read::operations(kind, body)? })
    }

    pub fn kind(&self) -> ResourceType {
        self.kind
    }

    /// The members that a PATCH of the group with this id names, whoever is in it; none where it takes looking.
    pub fn named_members(&self, id: ScimId) -> Vec<ScimId> {
        let mut work = apply::Work {
            resource: Resource::from_map(self.kind, serde_json::Map::new()),
            members: MembersChange::default(),
            id,
        };
        // What is refused is found out again, on the resource itself.
        let is_fine = self.operations.iter().all(|operation| work.carry_out(operation).is_ok());
        let MembersChange { reset, add, remove } = work.members;
        match is_fine && !reset {
            true => add.into_iter().chain(remove).collect(),
            false => vec![],
        }
    }

    /// Carries all operations out, in order. Fails as a whole (RFC 7644 3.5.2: atomic).
    pub fn apply(&self, resource: &Resource, id: ScimId) -> Result<Patched, ScimError> {
        let mut work = apply::Work { resource: resource.clone(), members: MembersChange::default(), id };
        for operation in &self.operations {
            work.carry_out(operation)?;
        }
        work.finish(resource)
    }
}
