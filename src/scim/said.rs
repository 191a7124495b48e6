//! That a body says each thing once (V-18): an attribute can be named with and without its URN, in the object of its schema, by
//! its parts and by paths. Two of these could say two things, of which the last would win or the order decide.
use super::{
    Node,
    error::{Reason, ScimError, quoted},
    path::Place,
    schema::{Attribute, Kind, Schema, Target},
};

/// What one object said so far.
#[derive(Debug, Default)]
pub(super) struct Said(Vec<Claim>);

/// What one value is said of: everything that there is within what is named here.
#[derive(Debug, PartialEq)]
struct Claim {
    schema: &'static str,
    attribute: Option<&'static str>,
    /// The values of a multi-valued attribute that pass it.
    filter: Option<String>,
    part: Option<&'static str>,
}

impl Said {
    /// Notes what `key` says, which names `place`.
    pub(super) fn note(&mut self, key: &str, place: &Place, node: &Node) -> Result<(), ScimError> {
        match place {
            Place::Schema(schema) => self.claim(key, Claim::schema(schema)),
            Place::Attribute(target) => self.note_attribute(key, target, node),
            Place::Selected(selected) => {
                let filter = Some(selected.filter.to_string().to_ascii_lowercase());
                self.claim(key, Claim { filter, ..Claim::part(&selected.target, selected.part) })
            }
        }
    }

    /// The same of an attribute. An object says something of the parts that it has, and of no others.
    pub(super) fn note_attribute(
        &mut self,
        key: &str,
        target: &Target,
        node: &Node,
    ) -> Result<(), ScimError> {
        let attribute = target.attribute;
        if target.part.is_some() || attribute.multi_valued || attribute.kind != Kind::Complex {
            return self.claim(key, Claim::part(target, target.part));
        }
        match (node.only(), attribute.value_part()) {
            (Node::Object(entries), _) => {
                let parts = entries.iter().filter_map(|(name, _)| attribute.sub_attribute(name));
                parts.into_iter().try_for_each(|part| self.claim(key, Claim::part(target, Some(part))))
            }
            (Node::Text(_), Some(part)) => self.claim(key, Claim::part(target, Some(part))),
            _ => self.claim(key, Claim::part(target, None)),
        }
    }

    fn claim(&mut self, key: &str, claim: Claim) -> Result<(), ScimError> {
        if self.0.iter().any(|other| other.overlaps(&claim)) {
            let detail = format!("{} says again what another key of the body says.", quoted(key));
            return Err(Reason::DuplicateKey.error(detail));
        }
        self.0.push(claim);
        Ok(())
    }
}

impl Claim {
    fn schema(schema: &Schema) -> Self {
        Self { schema: schema.urn, attribute: None, filter: None, part: None }
    }

    fn part(target: &Target, part: Option<&Attribute>) -> Self {
        Self {
            attribute: Some(target.attribute.name),
            part: part.map(|part| part.name),
            ..Self::schema(target.schema)
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.schema == other.schema
            && may_be_one(self.attribute.as_ref(), other.attribute.as_ref())
            && may_be_one(self.filter.as_ref(), other.filter.as_ref())
            && may_be_one(self.part.as_ref(), other.part.as_ref())
    }
}

/// Whoever names nothing means all.
fn may_be_one<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.is_none() || other.is_none() || one == other
}
