//! The tables (RFC 7643 sections 3.1, 4.1, 4.2, 4.3 and 8.7).
use super::{Attribute, Kind, Mutability, Returned, Schema, Uniqueness};

pub(super) static USER: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:core:2.0:User",
    name: "User",
    description: "A person's account",
    attributes: &USER_ATTRIBUTES,
    is_extension: false,
    aliases: &[],
};

pub(super) static GROUP: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:core:2.0:Group",
    name: "Group",
    description: "A group, which corresponds to an organization",
    attributes: &GROUP_ATTRIBUTES,
    is_extension: false,
    aliases: &[],
};

pub(super) static ENTERPRISE_USER: Schema = Schema {
    urn: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    name: "EnterpriseUser",
    description: "What employers say of a person",
    attributes: &ENTERPRISE_USER_ATTRIBUTES,
    is_extension: true,
    aliases: &["urn:scim:schemas:extension:enterprise:1.0"],
};

/// RFC 7643 3.1: of every resource, in no schema.
pub(super) static COMMON: [Attribute; 4] = [
    string("schemas", "The URNs of the schemas whose attributes the resource has")
        .exact()
        .many()
        .read_only()
        .always(),
    string("id", "The server's name for the resource, never used again").exact().read_only().always(),
    string("externalId", "The client's name for the resource").exact(),
    complex("meta", "What the server knows of the resource", &META).read_only(),
];

static META: [Attribute; 5] = [
    string("resourceType", "The name of the resource's type").exact().read_only(),
    of("created", Kind::DateTime, "When the resource was made").read_only(),
    of("lastModified", Kind::DateTime, "When the resource last became another").read_only(),
    reference("location", "Where the resource is", &["uri"]).read_only(),
    string("version", "The entity tag of the resource").exact().read_only(),
];

static USER_ATTRIBUTES: [Attribute; 20] = [
    string(
        "userName",
        "What the identity provider calls the person; unique within the base, without regard to case",
    )
    .required()
    .unique(),
    complex("name", "The parts of the person's name", &NAME),
    string("displayName", "The name to show"),
    string("nickName", "How the person is called"),
    reference("profileUrl", "A page about the person", &["external"]),
    string("title", "The person's title, such as \"Vice President\""),
    string("userType", "The person's relation to the employer, such as \"Contractor\""),
    string("preferredLanguage", "The languages that the person prefers, as in Accept-Language"),
    string("locale", "How numbers, money and dates are shown to the person, such as \"en-US\""),
    string("timezone", "The person's time zone, by its name in the IANA database"),
    // Every user has one, said by the client or not; taken away it would switch somebody on or off by silence (V-22).
    of("active", Kind::Boolean, "Whether the person may sign in and be a member of anything").required(),
    complex("emails", "Addresses of the person; invitations go to the primary one", &EMAIL).many(),
    complex("phoneNumbers", "Telephone numbers of the person", &PHONE_NUMBER).many(),
    complex("ims", "Instant messaging addresses of the person", &IM).many(),
    complex("photos", "Where pictures of the person are", &PHOTO).many(),
    complex("addresses", "Postal addresses of the person", &ADDRESS).many(),
    complex("groups", "The groups that the person is in", &USER_GROUP).many().read_only(),
    complex("entitlements", "What the person is entitled to; grants nothing here", &ENTITLEMENT).many(),
    complex("roles", "Roles of the person elsewhere; grants nothing here", &ENTITLEMENT).many(),
    complex("x509Certificates", "Certificates of the person", &CERTIFICATE).many(),
];

static NAME: [Attribute; 6] = [
    string("formatted", "The whole name, as it is shown"),
    string("familyName", "The family name"),
    string("givenName", "The given name"),
    string("middleName", "The middle names"),
    string("honorificPrefix", "What stands before the name, such as \"Dr.\""),
    string("honorificSuffix", "What stands after the name, such as \"III\""),
];

static EMAIL: [Attribute; 4] =
    [string("value", "The address"), DISPLAY, TYPE.canonical(&["work", "home", "other"]), PRIMARY];
static PHONE_NUMBER: [Attribute; 4] = [
    string("value", "The number, best as RFC 3966 writes it"),
    DISPLAY,
    TYPE.canonical(&["work", "home", "mobile", "fax", "pager", "other"]),
    PRIMARY,
];
static IM: [Attribute; 4] = [
    string("value", "The address"),
    DISPLAY,
    TYPE.canonical(&["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"]),
    PRIMARY,
];
static PHOTO: [Attribute; 4] = [
    reference("value", "Where the picture is", &["external"]),
    DISPLAY,
    TYPE.canonical(&["photo", "thumbnail"]),
    PRIMARY,
];
static ADDRESS: [Attribute; 8] = [
    string("formatted", "The whole address, as it stands on a letter"),
    string("streetAddress", "Street and number"),
    string("locality", "City or town"),
    string("region", "State or region"),
    string("postalCode", "Postal code"),
    string("country", "Country, by its two letters of ISO 3166-1"),
    TYPE.canonical(&["work", "home", "other"]),
    PRIMARY,
];
static ENTITLEMENT: [Attribute; 4] = [string("value", "What it is called"), DISPLAY, TYPE, PRIMARY];
static CERTIFICATE: [Attribute; 4] =
    [of("value", Kind::Binary, "The certificate's DER in base64").exact(), DISPLAY, TYPE, PRIMARY];
static USER_GROUP: [Attribute; 4] = [
    string("value", "The id of the group").exact().read_only(),
    reference("$ref", "Where the group is", &["Group"]).read_only(),
    string("display", "The group's displayName").read_only(),
    TYPE.canonical(&["direct"]).read_only(),
];

static GROUP_ATTRIBUTES: [Attribute; 2] = [
    string("displayName", "The group's name, which names the organization that it corresponds to")
        .required()
        .unique(),
    complex("members", "The users in the group", &MEMBER).many(),
];
static MEMBER: [Attribute; 3] = [
    string("value", "The id of the user").exact().immutable(),
    reference("$ref", "Where the user is", &["User"]).immutable(),
    TYPE.canonical(&["User"]).immutable(),
];

static ENTERPRISE_USER_ATTRIBUTES: [Attribute; 6] = [
    string("employeeNumber", "What the employer numbers the person by"),
    string("costCenter", "The cost center"),
    string("organization", "The organization, in the employer's sense"),
    string("division", "The division"),
    string("department", "The department"),
    complex("manager", "The person's manager", &MANAGER),
];
static MANAGER: [Attribute; 1] = [string("value", "The manager's id").exact()];

const DISPLAY: Attribute = string("display", "A name to show");
const TYPE: Attribute = string("type", "What kind of value it is");
const PRIMARY: Attribute = of("primary", Kind::Boolean, "Whether it is the preferred one; at most one is");

const fn of(name: &'static str, kind: Kind, description: &'static str) -> Attribute {
    Attribute {
        name,
        kind,
        multi_valued: false,
        required: false,
        case_exact: false,
        mutability: Mutability::ReadWrite,
        returned: Returned::Default,
        uniqueness: Uniqueness::None,
        canonical_values: &[],
        reference_types: &[],
        sub_attributes: &[],
        description,
    }
}

const fn string(name: &'static str, description: &'static str) -> Attribute {
    of(name, Kind::String, description)
}

/// RFC 7643 2.3.7: references are compared with regard to case.
const fn reference(
    name: &'static str,
    description: &'static str,
    types: &'static [&'static str],
) -> Attribute {
    Attribute { reference_types: types, case_exact: true, ..of(name, Kind::Reference, description) }
}

const fn complex(
    name: &'static str,
    description: &'static str,
    sub_attributes: &'static [Attribute],
) -> Attribute {
    Attribute { sub_attributes, ..of(name, Kind::Complex, description) }
}

impl Attribute {
    const fn exact(self) -> Self {
        Self { case_exact: true, ..self }
    }
    const fn many(self) -> Self {
        Self { multi_valued: true, ..self }
    }
    const fn required(self) -> Self {
        Self { required: true, ..self }
    }
    const fn unique(self) -> Self {
        Self { uniqueness: Uniqueness::Server, ..self }
    }
    const fn read_only(self) -> Self {
        Self { mutability: Mutability::ReadOnly, ..self }
    }
    const fn immutable(self) -> Self {
        Self { mutability: Mutability::Immutable, ..self }
    }
    const fn always(self) -> Self {
        Self { returned: Returned::Always, ..self }
    }
    const fn canonical(self, values: &'static [&'static str]) -> Self {
        Self { canonical_values: values, ..self }
    }
}
