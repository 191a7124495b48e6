//! Bodies of POST and PUT.
use crate::{
    domain::{ScimId, Timestamp},
    scim::{Document, Draft, Projection, Resource, ResourceType, Server, Version},
};

/// What is shown of a resource can be sent back; to cut it twice is to cut it once.
///
/// # Panics
/// If it is not.
pub fn check(octets: &[u8]) {
    for kind in ResourceType::ALL {
        let Ok(draft) = Draft::parse(*kind, octets) else { continue };
        let resource = draft.create();
        assert_eq!(Resource::from_stored(*kind, &resource.to_stored()).as_ref().ok(), Some(&resource));
        let shown = document(&resource);
        let again = Draft::parse(*kind, shown.to_json().as_bytes()).expect("what is shown can be sent");
        assert_eq!(again.replace(&resource), resource);
        let only = Projection::parse(Some("emails.value,name,urn:ietf:params:scim:schemas:core:2.0:Group"), None);
        let only = only.expect("a projection");
        let once = only.apply(shown);
        assert_eq!(only.apply(once.clone()), once);
    }
}

/// A user and a group for the other targets.
///
/// # Panics
/// Never: it is one.
pub fn example(kind: ResourceType) -> Resource {
    let body = match kind {
        ResourceType::User => {
            r#"{"userName":"alice","title":"t","active":true,"name":{"givenName":"Alice"},
                "emails":[{"value":"a@example.com","type":"work","primary":true},{"value":"b@example.com","type":"home"}],
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"d","manager":"m"}}"#
        }
        ResourceType::Group => r#"{"displayName":"octo-org","externalId":"e"}"#,
    };
    Draft::parse(kind, body.as_bytes()).expect("a resource").create()
}

/// It, with a part of the server.
pub fn document(resource: &Resource) -> Document {
    resource.document(&Server {
        base: "https://gateway.example.com/scim/v2/enterprises/acme",
        id: ScimId::from_random([1; 16]),
        created: Timestamp::UNIX_EPOCH,
        last_modified: Timestamp::UNIX_EPOCH,
        version: &Version::of_count(1),
        links: &[],
    })
}
