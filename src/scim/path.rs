//! Where an operation of a PATCH works (RFC 7644 3.5.2): `attr`, `attr.sub`, `attr[filter]`, `attr[filter].sub`, each with or
//! without a URN before it, or a URN alone.
use std::fmt;

use super::{
    error::{Reason, ScimError, quoted},
    filter::{Element, Filter, bind_element, value_path},
    schema::{Attribute, Kind, Named, ResourceType, Schema, Target},
};

/// A path as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    pub name: String,
    pub filter: Option<Filter>,
    /// Behind the brackets.
    pub part: Option<String>,
}

/// A path with its names resolved for one type of resources.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    /// All attributes of a schema.
    Schema(&'static Schema),
    /// An attribute, or a sub-attribute of it; of a multi-valued one, those of all values.
    Attribute(Target),
    /// The values of a multi-valued attribute that pass, or a part of each.
    Selected(Selected),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Selected {
    pub(super) target: Target,
    pub(super) test: Element,
    /// As it was written: what it says of values that are to be made.
    pub(super) filter: Filter,
    pub(super) part: Option<&'static Attribute>,
}

impl Path {
    /// Bounded as filters are.
    pub fn parse(text: &str) -> Result<Self, ScimError> {
        let path = value_path(text).map_err(|error| {
            Reason::PathSyntax.error(format!("{} is no path: {}", quoted(text), error.detail))
        })?;
        Ok(Self { name: path.name.to_owned(), filter: path.filter, part: path.part.map(str::to_owned) })
    }

    pub(super) fn bind(&self, kind: ResourceType) -> Result<Place, ScimError> {
        let unknown = || {
            Reason::PathUnknown.error(format!(
                "There is no attribute {} of a {}.",
                quoted(&self.to_string()),
                kind.name()
            ))
        };
        let target = match (kind.resolve(&self.name), &self.filter) {
            (Some(Named::Attribute(target)), _) => target,
            (Some(Named::Schema(schema)), None) => return Ok(Place::Schema(schema)),
            (Some(Named::Schema(_)), Some(_)) | (None, _) => return Err(unknown()),
        };
        let Some(filter) = &self.filter else { return Ok(Place::Attribute(target)) };
        if target.part.is_some() || !target.attribute.multi_valued || target.attribute.kind != Kind::Complex {
            return Err(Reason::PathUnsupported
                .error(format!("{} has no values to select from.", quoted(&self.name))));
        }
        let part = match &self.part {
            Some(part) => Some(target.attribute.sub_attribute(part).ok_or_else(unknown)?),
            None => None,
        };
        let test = bind_element(filter, target.attribute)?;
        Ok(Place::Selected(Selected { target, test, filter: filter.clone(), part }))
    }
}

/// The place that a key of a PATCH without a path names. `None` for what there is not, which is ignored in bodies; what begins
/// with an attribute that there is, and is no path, is refused as the path would be.
pub(super) fn key_place(kind: ResourceType, key: &str) -> Result<Option<Place>, ScimError> {
    match Path::parse(key).and_then(|path| path.bind(kind)) {
        Ok(place) => Ok(Some(place)),
        Err(error) if error.code == Reason::PathUnknown.code() || !kind.is_led_by_attribute(key) => Ok(None),
        Err(error) => Err(error),
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(filter) = &self.filter {
            write!(f, "[{filter}]")?;
        }
        match &self.part {
            Some(part) => write!(f, ".{part}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(kind: ResourceType, text: &str) -> Option<&'static str> {
        Path::parse(text).and_then(|path| path.bind(kind)).err().map(|error| error.code)
    }

    #[test]
    fn v_05_every_form_and_nothing_else() {
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        for text in [
            "userName",
            "NAME.familyname",
            "emails",
            "emails.value",
            "emails[type eq \"work\"]",
            "Emails[Type EQ \"work\"].Value",
            "emails[type eq \"work\" and (primary eq true or not (value pr))].display",
            "addresses[type eq \"]\"].formatted",
            enterprise,
            &format!("{enterprise}:department"),
            &format!("{enterprise}:manager.value"),
            "urn:ietf:params:scim:schemas:core:2.0:User:emails[type eq \"work\"].value",
            "urn:ietf:params:scim:schemas:core:2.0:User:name.givenName",
        ] {
            assert_eq!(code(ResourceType::User, text), None, "{text}");
            let path = Path::parse(text).unwrap();
            assert_eq!(Path::parse(&path.to_string()), Ok(path), "{text}");
        }
        for (text, expected) in [
            ("", "scim_path_syntax"),
            (".", "scim_path_syntax"),
            ("emails[", "scim_path_syntax"),
            ("emails[]", "scim_path_syntax"),
            ("emails[type eq \"work\"", "scim_path_syntax"),
            ("emails[type eq \"work\"]value", "scim_path_syntax"),
            ("emails[type eq \"work\"].", "scim_path_syntax"),
            ("emails[type eq \"work\"].value.more", "scim_path_syntax"),
            ("emails[0]", "scim_path_syntax"),
            ("name.givenName.more", "scim_path_syntax"),
            ("members or 1", "scim_path_syntax"),
            ("/emails/0", "scim_path_syntax"),
            ("emails[value.x eq 1]", "scim_path_unknown_never"),
            ("__proto__.x", "scim_path_syntax"),
            ("constructor.prototype", "scim_path_unknown"),
            ("password", "scim_path_unknown"),
            ("members", "scim_path_unknown"),
            ("emails[type eq \"work\"].nothing", "scim_path_unknown"),
            ("urn:example:User:userName", "scim_path_unknown"),
            ("userName[value eq \"a\"]", "scim_path_unsupported"),
            ("emails.value[type eq \"a\"]", "scim_path_unsupported"),
            ("name[givenName eq \"a\"]", "scim_path_unsupported"),
            ("emails[primary gt true]", "scim_filter_type"),
            ("emails[value[type eq \"a\"] ]", "scim_filter_type"),
        ] {
            let found = code(ResourceType::User, text);
            // What a filter does not know has no value; the path is fine and selects nothing.
            let expected = if expected == "scim_path_unknown_never" { None } else { Some(expected) };
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(code(ResourceType::Group, "members[value eq \"x\"]"), None);
    }
}
