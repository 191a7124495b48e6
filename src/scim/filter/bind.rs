//! A filter for one type of resources: names resolved, values brought to the types of their attributes.
//!
//! What is no attribute of the type has no value, so nothing compares with it (RFC 7644 3.4.2.1): such a test is false, and one
//! on `password` tells nothing (V-04).
use super::{Filter, Literal, Operator};
use crate::{
    domain::{Timestamp, fold_case},
    scim::{
        document::Document,
        error::{Reason, ScimError},
        schema::{Attribute, Kind, Named, ResourceType, Target},
        value,
    },
};

/// A filter that can be asked about resources of one type.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundFilter {
    pub(super) kind: ResourceType,
    pub(super) test: Test<Target>,
}

/// A filter about the values of one multi-valued attribute, as a path of a PATCH has it in brackets.
pub(in crate::scim) type Element = Test<&'static Attribute>;

/// A test whose names are resolved: to attributes of a resource, or to the parts of one value.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::scim) enum Test<Name> {
    All(Vec<Test<Name>>),
    Any(Vec<Test<Name>>),
    Not(Box<Test<Name>>),
    Present(Name),
    Compare(Name, Comparison),
    /// One value of a multi-valued attribute passes.
    Element(Name, Box<Element>),
}

/// What one value is compared with, in its own type.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::scim) enum Comparison {
    Text {
        operator: Operator,
        text: String,
        case_exact: bool,
    },
    Bool {
        equal: bool,
        value: bool,
    },
    Instant {
        operator: Operator,
        at: Timestamp,
    },
    /// RFC 7643 2.5: null is what has no value.
    Null {
        equal: bool,
    },
}

/// Neither true of anything nor anything else: the `or` of nothing.
pub(super) fn never<Name>() -> Test<Name> {
    Test::Any(vec![])
}

impl Filter {
    /// Fails where a test can be asked of no value at all, such as whether a boolean is greater (RFC 7644 3.4.2.2).
    pub fn bind(&self, kind: ResourceType) -> Result<BoundFilter, ScimError> {
        Ok(BoundFilter { kind, test: bind(self, &Resources(kind))? })
    }
}

impl BoundFilter {
    pub fn kind(&self) -> ResourceType {
        self.kind
    }

    /// Whether a resource passes. Of a group, the document must hold the members that [`Self::members`] asks for.
    pub fn matches(&self, document: &Document) -> bool {
        document.kind == self.kind && super::test::document(&self.test, document)
    }
}

/// A filter in the brackets of a path.
pub(in crate::scim) fn bind_element(
    filter: &Filter,
    attribute: &'static Attribute,
) -> Result<Element, ScimError> {
    bind(filter, &Parts(attribute))
}

/// What names mean somewhere.
trait Scope {
    type Name: Copy;
    fn resolve(&self, name: &str) -> Option<Self::Name>;
    /// Whether there is anything of a schema, where the name is that of one.
    fn presence(&self, name: &str) -> Option<Test<Self::Name>>;
    /// The attribute whose values are compared; `None` for a complex one without a `value`.
    fn leaf(name: &Self::Name) -> Option<&'static Attribute>;
    /// The attribute whose values have parts, if it is one.
    fn whole(name: &Self::Name) -> Option<&'static Attribute>;
}

struct Resources(ResourceType);

impl Scope for Resources {
    type Name = Target;

    /// Entra ID asks for `manager` without its URN.
    fn resolve(&self, name: &str) -> Option<Target> {
        let in_extension = || self.0.target(&format!("{}:{name}", self.0.extension()?.urn));
        self.0.target(name).or_else(in_extension)
    }

    /// Every resource has something of the schema of its type, so its `id` tells; an extension is there if an attribute of it is.
    fn presence(&self, name: &str) -> Option<Test<Target>> {
        let Named::Schema(schema) = self.0.resolve(name)? else { return None };
        if !schema.is_extension {
            return self.0.target("id").map(Test::Present);
        }
        let target = |attribute| Target { schema, attribute, part: None };
        Some(Test::Any(schema.attributes.iter().map(target).map(Test::Present).collect()))
    }

    fn leaf(name: &Target) -> Option<&'static Attribute> {
        name.leaf()
    }

    fn whole(name: &Target) -> Option<&'static Attribute> {
        (name.part.is_none() && name.attribute.kind == Kind::Complex).then_some(name.attribute)
    }
}

struct Parts(&'static Attribute);

impl Scope for Parts {
    type Name = &'static Attribute;

    fn resolve(&self, name: &str) -> Option<&'static Attribute> {
        self.0.sub_attribute(name)
    }

    fn presence(&self, _: &str) -> Option<Test<&'static Attribute>> {
        None
    }

    fn leaf(name: &&'static Attribute) -> Option<&'static Attribute> {
        Some(name)
    }

    /// RFC 7643 2.3.8: sub-attributes have none of their own.
    fn whole(_: &&'static Attribute) -> Option<&'static Attribute> {
        None
    }
}

fn bind<S: Scope>(filter: &Filter, scope: &S) -> Result<Test<S::Name>, ScimError> {
    let all = |filters: &[Filter]| filters.iter().map(|filter| bind(filter, scope)).collect::<Result<_, _>>();
    Ok(match filter {
        Filter::And(filters) => Test::All(all(filters)?),
        Filter::Or(filters) => Test::Any(all(filters)?),
        Filter::Not(filter) => Test::Not(Box::new(bind(filter, scope)?)),
        Filter::Present(name) => {
            let presence = scope.resolve(name).map(Test::Present).or_else(|| scope.presence(name));
            presence.unwrap_or_else(never)
        }
        Filter::Compare { name, operator, literal } => match scope.resolve(name) {
            Some(resolved) => {
                let leaf = S::leaf(&resolved).ok_or_else(|| {
                    Reason::FilterType.error(format!("{name} has sub-attributes and no value to compare."))
                })?;
                Test::Compare(resolved, comparison(leaf, *operator, literal)?)
            }
            None => never(),
        },
        Filter::Element { name, filter, then } => match scope.resolve(name) {
            Some(resolved) => Test::Element(resolved, Box::new(element::<S>(name, &resolved, filter, then)?)),
            None => never(),
        },
    })
}

/// The filter in brackets, and what stands behind them, are about one and the same value.
fn element<S: Scope>(
    name: &str,
    resolved: &S::Name,
    filter: &Filter,
    then: &Option<Box<Filter>>,
) -> Result<Element, ScimError> {
    let whole = S::whole(resolved)
        .ok_or_else(|| Reason::FilterType.error(format!("{name} has no sub-attributes to select by.")))?;
    let mut all = vec![bind_element(filter, whole)?];
    if let Some(then) = then {
        all.push(bind_element(then, whole)?);
    }
    Ok(Test::All(all))
}

fn comparison(leaf: &Attribute, operator: Operator, literal: &Literal) -> Result<Comparison, ScimError> {
    use Operator::{Equal, NotEqual};
    let equal = match operator {
        Equal => Some(true),
        NotEqual => Some(false),
        _ => None,
    };
    let refuse = |why: &str| {
        let said = format!("{} {} {literal}", leaf.name, operator.as_str());
        Err(Reason::FilterType.error(format!("{said}: {why}.")))
    };
    let text = match (literal, equal) {
        (Literal::Null, Some(equal)) => return Ok(Comparison::Null { equal }),
        (Literal::Null, None) => return refuse("null is equal or not"),
        (Literal::Text(text), _) => text.clone(),
        (other, _) => other.to_string(),
    };
    match (leaf.kind, equal) {
        (Kind::Boolean, Some(equal)) => match value::word_boolean(&text) {
            Some(value) => Ok(Comparison::Bool { equal, value }),
            None => refuse("the attribute is true or false"),
        },
        (Kind::Boolean, None) => refuse("true and false are equal or not"),
        // RFC 7644 3.4.2.2
        (Kind::Binary, _) if is_order(operator) => refuse("binary values have no order"),
        (Kind::DateTime, _) if !is_part_of_text(operator) => match text.parse() {
            Ok(at) => Ok(Comparison::Instant { operator, at }),
            Err(_) => refuse("the attribute is a dateTime, such as 2026-01-31T12:00:00Z"),
        },
        _ => {
            let text = if leaf.case_exact { text } else { fold_case(&text) };
            Ok(Comparison::Text { operator, text, case_exact: leaf.case_exact })
        }
    }
}

fn is_order(operator: Operator) -> bool {
    use Operator::{Greater, GreaterOrEqual, Less, LessOrEqual};
    matches!(operator, Greater | GreaterOrEqual | Less | LessOrEqual)
}

fn is_part_of_text(operator: Operator) -> bool {
    matches!(operator, Operator::Contains | Operator::StartsWith | Operator::EndsWith)
}
