//! PATCH and Bulk requests on a user and a group.
use crate::{
    domain::ScimId,
    scim::{Bulk, Draft, Node, Patch, ResourceType, Search},
    scim_resource::example,
};

/// What comes out is as what is stored: it is read again as the same, and obeys what holds for every resource.
///
/// # Panics
/// If it does not.
pub fn check(octets: &[u8]) {
    if let Ok(bulk) = Bulk::parse(octets)
        && let Ok(mut order) = bulk.order()
    {
        order.sort_unstable();
        assert!(order.into_iter().eq(0..bulk.operations.len()));
    }
    for kind in ResourceType::ALL {
        if let Ok(node) = Node::parse(octets, octets.len()) {
            let _ = Search::of_body(&node, &[*kind]);
        }
        let Ok(patch) = Patch::parse(*kind, octets) else { continue };
        let before = example(*kind);
        let id = ScimId::from_random([1; 16]);
        let Ok(patched) = patch.apply(&before, id) else { continue };
        let members = &patched.members;
        assert!(members.add.is_disjoint(&members.remove) && (!members.reset || members.remove.is_empty()));
        if *kind == ResourceType::Group {
            crate::scim_members::check(octets, &patch, id, members);
        }
        assert_eq!(patched.changed, patched.resource != before);
        let stored = patched.resource.to_stored();
        let again = Draft::parse(*kind, stored.as_bytes()).expect("what is stored can be sent");
        assert_eq!(again.resource(), &patched.resource, "{stored}");
    }
}
