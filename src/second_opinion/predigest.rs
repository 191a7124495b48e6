//! Reads the digested octets with libxml2 and compares them with what the core read.
use libxml::{
    parser::Parser,
    tree::{Document, Node, NodeType},
};

use super::Disagreement;
use crate::{domain::Attribute, saml::VerifiedAssertion};

const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const SAMLP: &str = "urn:oasis:names:tc:SAML:2.0:protocol";

pub fn compare(octets: &str, verified: &VerifiedAssertion) -> Result<(), Disagreement> {
    let document = Parser::default().parse_string(octets).map_err(|_| Disagreement::Shape("no XML"))?;
    let assertion = assertion(&document)?;
    let subject = only(&assertion, "Subject")?;
    let (plain, structured) = attributes(&assertion);
    let same = [
        ("assertion ID", assertion.get_attribute("ID").as_deref() == Some(verified.assertion_id())),
        ("Issuer", text(&only(&assertion, "Issuer")?).as_deref() == Some(verified.issuer())),
        ("NameID", text(&only(&subject, "NameID")?).as_deref() == Some(verified.name_id().value.as_str())),
        ("list of attributes", plain == verified.attributes()),
        ("list of structured attributes", structured == verified.structured_attributes()),
    ];
    match same.iter().find(|(_, same)| !same) {
        None => Ok(()),
        Some((what, _)) => Err(Disagreement::Value(what)),
    }
}

/// The root, or the only one in it.
fn assertion(document: &Document) -> Result<Node, Disagreement> {
    let root = document.get_root_element().ok_or(Disagreement::Shape("no root element"))?;
    if is(&root, SAML, "Assertion") {
        Ok(root)
    } else if is(&root, SAMLP, "Response") {
        only(&root, "Assertion")
    } else {
        Err(Disagreement::Shape("neither Response nor Assertion"))
    }
}

fn is(node: &Node, namespace: &str, local: &str) -> bool {
    node.get_name() == local && node.get_namespace().is_some_and(|found| found.get_href() == namespace)
}

fn children(parent: &Node, local: &'static str) -> impl Iterator<Item = Node> {
    parent.get_child_elements().into_iter().filter(move |child| is(child, SAML, local))
}

/// The one child of this name.
fn only(parent: &Node, local: &'static str) -> Result<Node, Disagreement> {
    let mut found = children(parent, local);
    match (found.next(), found.next()) {
        (Some(child), None) => Ok(child),
        _ => Err(Disagreement::Shape("not exactly one Assertion, Issuer, Subject or NameID")),
    }
}

/// The text of an element that holds no other.
fn text(node: &Node) -> Option<String> {
    node.get_child_elements().is_empty().then(|| node.get_content())
}

/// Whether anything but white space stands between an element's children.
fn has_stray_text(node: &Node) -> bool {
    let text =
        |child: &Node| !matches!(child.get_type(), Some(NodeType::ElementNode | NodeType::CommentNode));
    node.get_child_nodes().iter().any(|child| text(child) && !child.get_content().trim().is_empty())
}

/// Those with text values, and the names of the others, as the core sorts them.
fn attributes(assertion: &Node) -> (Vec<Attribute>, Vec<String>) {
    let (mut plain, mut structured) = (vec![], vec![]);
    let statements = children(assertion, "AttributeStatement");
    for attribute in statements.flat_map(|statement| children(&statement, "Attribute").collect::<Vec<_>>()) {
        let name = attribute.get_attribute("Name").unwrap_or_default();
        let nil = |value: &Node| value.has_attribute_ns("nil", "http://www.w3.org/2001/XMLSchema-instance");
        let values = children(&attribute, "AttributeValue");
        let values: Option<Vec<String>> = values.map(|value| text(&value).filter(|_| !nil(&value))).collect();
        match values.filter(|_| !has_stray_text(&attribute)) {
            Some(values) => plain.push(Attribute { name, values }),
            None => structured.push(name),
        }
    }
    (plain, structured)
}
