//! Logout messages as this IdP writes and reads them (SAML Core 3.7).
use quick_xml::{
    events::Event,
    name::{Namespace, ResolveResult},
    reader::NsReader,
};

use super::{
    request::{ASSERTION, DEPTH_MAX, PROTOCOL, RequestError, attributes},
    xml::Element,
};

/// A session that a service provider opened by an assertion of this IdP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SpSession {
    pub person: String,
    pub sp_entity_id: String,
    pub slo_url: String,
    pub name_id: String,
    pub format: String,
    pub index: String,
}

/// What a service provider's LogoutRequest or LogoutResponse says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct LogoutMessage {
    /// The root's local name.
    pub name: String,
    pub id: String,
    pub issuer: String,
    pub name_id: String,
    pub indexes: Vec<String>,
    /// The outermost StatusCode.
    pub status: String,
}

impl LogoutMessage {
    /// Whether the request names the session.
    pub(super) fn names(&self, session: &SpSession) -> bool {
        session.sp_entity_id == self.issuer
            && session.name_id == self.name_id
            && (self.indexes.is_empty() || self.indexes.contains(&session.index))
    }
}

/// What stands in the head of a message of ours.
pub(super) struct Head<'a> {
    pub id: &'a str,
    pub idp_entity_id: &'a str,
    pub at: &'a str,
    pub destination: &'a str,
}

impl Head<'_> {
    pub(super) fn logout_request(&self, session: &SpSession) -> Element {
        self.message("samlp:LogoutRequest")
            .child(
                Element::new("saml:NameID")
                    .with("Format", session.format.as_str())
                    .text(session.name_id.as_str()),
            )
            .child(Element::new("samlp:SessionIndex").text(session.index.as_str()))
    }

    pub(super) fn logout_response(&self, in_response_to: &str) -> Element {
        let code = Element::new("samlp:StatusCode").with("Value", super::response::SUCCESS);
        self.message("samlp:LogoutResponse")
            .with("InResponseTo", in_response_to)
            .child(Element::new("samlp:Status").child(code))
    }

    fn message(&self, name: &'static str) -> Element {
        Element::new(name)
            .with("ID", self.id)
            .with("Version", "2.0")
            .with("IssueInstant", self.at)
            .with("Destination", self.destination)
            .child(Element::new("saml:Issuer").text(self.idp_entity_id))
    }
}

/// Reads a message, alone or within a SOAP envelope. Nobody's signature is checked: this IdP knows no service provider's key,
/// and believes whoever wants less.
pub(super) fn parse(xml: &str) -> Result<LogoutMessage, RequestError> {
    let mut reader = NsReader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let mut message = LogoutMessage::default();
    let (mut depth, mut text_of) = (0_usize, String::new());
    loop {
        match reader.read_resolved_event().map_err(|_| RequestError::Xml)? {
            (namespace, Event::Start(element)) => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Err(RequestError::Xml);
                }
                let bound = |uri| namespace == ResolveResult::Bound(Namespace(uri));
                let local = element.local_name();
                text_of.clear();
                if bound(PROTOCOL) && ["LogoutRequest", "LogoutResponse"].contains(&local.as_ref()) {
                    message.name = local.as_ref().to_owned();
                    let id = attributes(&element)?.into_iter().find(|(name, _)| name == "ID");
                    message.id = id.map(|(_, id)| id).unwrap_or_default();
                } else if bound(PROTOCOL) && local.as_ref() == "StatusCode" && message.status.is_empty() {
                    let value = attributes(&element)?.into_iter().find(|(name, _)| name == "Value");
                    message.status = value.map(|(_, value)| value).unwrap_or_default();
                } else if bound(PROTOCOL) && local.as_ref() == "SessionIndex" {
                    message.indexes.push(String::new());
                    text_of.push_str("SessionIndex");
                } else if bound(ASSERTION) {
                    text_of.push_str(local.as_ref());
                }
            }
            (_, Event::End(_)) => {
                depth = depth.saturating_sub(1);
                text_of.clear();
            }
            (_, Event::Text(text)) => add(&mut message, &text_of, &text.xml10_content()),
            (_, Event::GeneralRef(reference)) => {
                let text = quick_xml::escape::unescape(&format!("&{};", &*reference))
                    .map_err(|_| RequestError::Xml)?
                    .into_owned();
                add(&mut message, &text_of, &text);
            }
            (_, Event::Comment(_) | Event::Decl(_)) => {}
            (_, Event::Eof) if depth == 0 && !message.id.is_empty() => return Ok(message),
            _ => return Err(RequestError::Xml),
        }
    }
}

fn add(message: &mut LogoutMessage, element: &str, text: &str) {
    match element {
        "Issuer" => message.issuer.push_str(text),
        "NameID" => message.name_id.push_str(text),
        "SessionIndex" => message.indexes.last_mut().into_iter().for_each(|index| index.push_str(text)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let session = SpSession {
            person: "alice".into(),
            sp_entity_id: "https://app.example.com".into(),
            slo_url: "https://app.example.com/saml/slo".into(),
            name_id: "alice&b@example.com".into(),
            format: super::super::request::PERSISTENT.into(),
            index: "_s".into(),
        };
        let head = Head {
            id: "_1",
            idp_entity_id: "https://app.example.com",
            at: "2026-01-15T12:00:00Z",
            destination: "x",
        };
        let request = parse(&head.logout_request(&session).canonical()).unwrap();
        assert_eq!((request.name.as_str(), request.id.as_str()), ("LogoutRequest", "_1"));
        assert!(request.names(&session));
        assert!(!LogoutMessage { name_id: "alice".into(), ..request.clone() }.names(&session));
        assert!(!LogoutMessage { indexes: vec!["_t".into()], ..request.clone() }.names(&session));
        assert!(LogoutMessage { indexes: vec![], ..request }.names(&session));
        let response = parse(&head.logout_response("_2").canonical()).unwrap();
        assert_eq!(response.status, super::super::response::SUCCESS);
        for bad in ["", "<a/>", "<!DOCTYPE a><a/>", "<?p?><a/>"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
