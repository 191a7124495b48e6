//! What there is: the attributes of users and groups with their characteristics (RFC 7643 section 2.2), and how names are
//! resolved to them.
//!
//! Only what is stored stands here, so nothing else is published, filtered by or changed (V-04, V-05). `password` does not.
mod attributes;
mod discovery;

pub use self::discovery::{AuthenticationScheme, Service, resource_types, schemas, service_provider_config};

/// RFC 7643 2.3
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    String,
    Boolean,
    DateTime,
    Binary,
    Reference,
    Complex,
}

/// RFC 7643 2.2
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutability {
    ReadOnly,
    ReadWrite,
    Immutable,
}

/// RFC 7643 2.2; there is nothing that is `never` returned, for nothing such is kept, nor on `request` only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returned {
    Always,
    Default,
}

/// RFC 7643 2.2. The base is the space in which a value is unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uniqueness {
    None,
    Server,
}

/// An attribute or a sub-attribute (RFC 7643 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// In its canonical spelling.
    pub name: &'static str,
    pub kind: Kind,
    pub multi_valued: bool,
    pub required: bool,
    pub case_exact: bool,
    pub mutability: Mutability,
    pub returned: Returned,
    pub uniqueness: Uniqueness,
    pub canonical_values: &'static [&'static str],
    pub reference_types: &'static [&'static str],
    pub sub_attributes: &'static [Attribute],
    pub description: &'static str,
}

impl Attribute {
    /// The sub-attribute of this name, which is compared without regard to case (RFC 7643 2.1).
    pub fn sub_attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.sub_attributes.iter().find(|sub| sub.name.eq_ignore_ascii_case(name))
    }

    /// What is meant where a complex attribute stands in the place of a simple one.
    pub fn value_part(&self) -> Option<&'static Attribute> {
        self.sub_attribute("value")
    }

    pub fn is_read_only(&self) -> bool {
        self.mutability == Mutability::ReadOnly
    }
}

/// A schema: the base of a resource type, or an extension.
#[derive(Debug)]
pub struct Schema {
    pub urn: &'static str,
    pub name: &'static str,
    pub description: &'static str,
    /// Without those that every resource has (RFC 7643 3.1).
    pub attributes: &'static [Attribute],
    /// Whether its attributes lie in an object under its URN.
    pub is_extension: bool,
    /// URNs that clients say instead.
    pub(super) aliases: &'static [&'static str],
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.urn == other.urn
    }
}

impl Schema {
    fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        let common = if self.is_extension { &[] } else { &attributes::COMMON[..] };
        common.iter().chain(self.attributes).find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }

    /// What follows the schema's URN in `text`: nothing, or a colon and a name.
    fn strip_from<'t>(&self, text: &'t str) -> Option<&'t str> {
        let strip = |urn: &&str| {
            let head = text.get(..urn.len())?;
            let rest = text.get(urn.len()..)?;
            (head.eq_ignore_ascii_case(urn) && (rest.is_empty() || rest.starts_with(':'))).then_some(rest)
        };
        std::iter::once(&self.urn).chain(self.aliases).find_map(strip)
    }
}

/// The two types of resources (RFC 7643 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceType {
    User,
    Group,
}

impl ResourceType {
    pub const ALL: &[Self] = &[Self::User, Self::Group];

    /// As `meta.resourceType` and `/ResourceTypes` say it.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// The path segment below the base, in exactly this case.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::User => "Users",
            Self::Group => "Groups",
        }
    }

    pub fn from_endpoint(segment: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.endpoint() == segment)
    }

    pub fn schema(self) -> &'static Schema {
        match self {
            Self::User => &attributes::USER,
            Self::Group => &attributes::GROUP,
        }
    }

    pub fn extension(self) -> Option<&'static Schema> {
        match self {
            Self::User => Some(&attributes::ENTERPRISE_USER),
            Self::Group => None,
        }
    }

    /// The base schema, and the extension if there is one.
    pub fn schemas(self) -> impl Iterator<Item = &'static Schema> {
        std::iter::once(self.schema()).chain(self.extension())
    }

    /// Every attribute of a resource of this type, with its schema, in the order in which they are shown.
    pub fn attributes(self) -> impl Iterator<Item = Target> {
        let common = attributes::COMMON.iter().map(move |attribute| (self.schema(), attribute));
        let own = self.schemas().flat_map(|schema| schema.attributes.iter().map(move |a| (schema, a)));
        common.chain(own).map(|(schema, attribute)| Target { schema, attribute, part: None })
    }

    /// What a name stands for: `attribute`, `attribute.sub`, either led by a URN and a colon, or a URN alone. `None` for what
    /// there is not.
    pub fn resolve(self, text: &str) -> Option<Named> {
        for schema in self.schemas() {
            match schema.strip_from(text) {
                Some("") => return Some(Named::Schema(schema)),
                Some(rest) => return Target::of(schema, rest.get(1..)?).map(Named::Attribute),
                None => {}
            }
        }
        Target::of(self.schema(), text).map(Named::Attribute)
    }

    /// Whether a text begins with the name of an attribute, whatever comes behind it.
    pub fn is_led_by_attribute(self, text: &str) -> bool {
        let led =
            self.schemas().find_map(|schema| Some((schema, schema.strip_from(text)?.strip_prefix(':')?)));
        let (schema, text) = led.unwrap_or((self.schema(), text));
        let is_name_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$');
        schema.attribute(text.split(|c| !is_name_char(c)).next().unwrap_or_default()).is_some()
    }

    /// Whether a text names the password of a user, which is taken from clients and forgotten.
    pub fn is_password(self, text: &str) -> bool {
        let own = self.schema().strip_from(text).and_then(|rest| rest.strip_prefix(':'));
        self == Self::User && own.unwrap_or(text).eq_ignore_ascii_case("password")
    }

    /// [`Self::resolve`] where only an attribute makes sense.
    pub fn target(self, text: &str) -> Option<Target> {
        match self.resolve(text)? {
            Named::Attribute(target) => Some(target),
            Named::Schema(_) => None,
        }
    }
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Named {
    Schema(&'static Schema),
    Attribute(Target),
}

/// An attribute in its schema, or a sub-attribute of it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub schema: &'static Schema,
    pub attribute: &'static Attribute,
    /// The sub-attribute.
    pub part: Option<&'static Attribute>,
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        let part = |target: &Self| target.part.map(|part| part.name);
        self.schema == other.schema
            && self.attribute.name == other.attribute.name
            && part(self) == part(other)
    }
}

impl Target {
    fn of(schema: &'static Schema, text: &str) -> Option<Self> {
        let (name, part) = match text.split_once('.') {
            Some((name, part)) => (name, Some(part)),
            None => (text, None),
        };
        let attribute = schema.attribute(name)?;
        let part = match part {
            Some(part) => Some(attribute.sub_attribute(part)?),
            None => None,
        };
        Some(Self { schema, attribute, part })
    }

    /// Whether it is the attribute of the base schema with this name, in whatever part.
    pub fn is(&self, name: &str) -> bool {
        !self.schema.is_extension && self.attribute.name == name
    }

    /// What is compared in the end: the sub-attribute, `value` where a complex attribute stands for it, or the attribute.
    /// `None` for a complex attribute without a `value`.
    pub fn leaf(&self) -> Option<&'static Attribute> {
        match (self.part, self.attribute.kind) {
            (Some(part), _) => Some(part),
            (None, Kind::Complex) => self.attribute.value_part(),
            (None, _) => Some(self.attribute),
        }
    }

    /// Whether clients may change it.
    pub fn is_read_only(&self) -> bool {
        self.attribute.is_read_only() || self.part.is_some_and(Attribute::is_read_only)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: ResourceType, text: &str) -> Option<String> {
        Some(match kind.resolve(text)? {
            Named::Schema(schema) => schema.urn.to_owned(),
            Named::Attribute(Target { schema, attribute, part }) => {
                let part = part.map(|part| format!(".{}", part.name)).unwrap_or_default();
                format!("{}:{}{part}", schema.name, attribute.name)
            }
        })
    }

    #[test]
    fn names_are_resolved_without_regard_to_case() {
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        for (text, expected) in [
            ("USERNAME", Some("User:userName")),
            ("name.GIVENNAME", Some("User:name.givenName")),
            ("id", Some("User:id")),
            ("meta.lastmodified", Some("User:meta.lastModified")),
            ("urn:IETF:params:scim:schemas:core:2.0:user:emails.Value", Some("User:emails.value")),
            (
                "urn:ietf:params:scim:schemas:core:2.0:User",
                Some("urn:ietf:params:scim:schemas:core:2.0:User"),
            ),
            (enterprise, Some(enterprise)),
            (&format!("{enterprise}:employeenumber"), Some("EnterpriseUser:employeeNumber")),
            (&format!("{enterprise}:manager.value"), Some("EnterpriseUser:manager.value")),
            ("urn:scim:schemas:extension:enterprise:1.0:department", Some("EnterpriseUser:department")),
            (&format!("{enterprise}:userName"), None),
            (&format!("{enterprise}:"), None),
            (&format!("{enterprise}x"), None),
            ("department", None),
            ("password", None),
            ("__proto__", None),
            ("constructor.prototype", None),
            ("emails.value.value", None),
            ("userName.value", None),
            ("", None),
        ] {
            assert_eq!(shown(ResourceType::User, text).as_deref(), expected, "{text}");
        }
        assert_eq!(shown(ResourceType::Group, "members.$REF").as_deref(), Some("Group:members.$ref"));
        assert_eq!(shown(ResourceType::Group, "userName"), None);
    }

    #[test]
    fn attributes_are_as_the_rfc_forms_them() {
        for kind in ResourceType::ALL {
            for target in kind.attributes() {
                let attribute = target.attribute;
                assert_eq!(attribute.kind == Kind::Complex, !attribute.sub_attributes.is_empty());
                // RFC 7643 2.3.8
                assert!(
                    attribute.sub_attributes.iter().all(|sub| sub.kind != Kind::Complex && !sub.multi_valued)
                );
                assert!(!attribute.description.is_empty(), "{}", attribute.name);
            }
        }
    }
}
