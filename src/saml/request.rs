//! The AuthnRequest (SAML Core 3.4.1).
use std::{borrow::Cow, fmt::Write as _};

use super::{
    Connection, SigningError,
    delivery::{Delivery, Document, MessageKind, Outgoing},
    instant::whole_seconds,
    writing::{attribute, joined, percent_encoded, text},
};
use crate::domain::{AuthnDemand, Timestamp};

/// One AuthnRequest. What is random in it is drawn by the caller.
#[derive(Debug, Clone, Copy)]
pub struct AuthnRequest<'a> {
    /// The whole ID, `_` included.
    pub id: &'a str,
    pub acs_url: &'a str,
    pub relay_state: &'a str,
    pub demand: &'a AuthnDemand,
    /// The e-mail address that the person gave, if they gave one; sent only if the connection says so.
    pub login_hint: Option<&'a str>,
    pub now: Timestamp,
}

impl AuthnRequest<'_> {
    /// Writes the request for the connection's IdP, signed if the connection signs requests, in the connection's binding.
    /// A query that the SSO URL has is kept.
    pub fn send(&self, connection: &Connection) -> Result<Delivery, SigningError> {
        let settings = connection.settings();
        let hint = self.login_hint.filter(|_| settings.login_hint);
        // The hint stands before the octets that are signed, as the SSO URL's own query does.
        let location = hint.map_or(Cow::Borrowed(settings.sso_url.as_str()), |hint| {
            Cow::Owned(joined(&settings.sso_url, &format!("login_hint={}", percent_encoded(hint))))
        });
        let outgoing = Outgoing {
            kind: MessageKind::Request,
            id: self.id,
            document: &self.document(connection),
            location: &location,
            relay_state: Some(self.relay_state),
        };
        outgoing.send(settings.request_binding, settings.request_key())
    }

    /// SAML Core 3.4.1, spelt as exclusive C14N spells it: what is signed is what stands there.
    fn document(&self, connection: &Connection) -> Document {
        let settings = connection.settings();
        let issue_instant = whole_seconds(self.now);
        let mut xml = format!(
            "<samlp:AuthnRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" \
             AssertionConsumerServiceURL=\"{}\" Destination=\"{}\"",
            attribute(self.acs_url),
            attribute(&settings.sso_url),
        );
        if self.demand.force {
            xml.push_str(" ForceAuthn=\"true\"");
        }
        // Writing to a String cannot fail.
        let _ = write!(
            xml,
            " ID=\"{}\" IssueInstant=\"{issue_instant}\" \
             ProtocolBinding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" Version=\"2.0\">\
             <saml:Issuer xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">{}</saml:Issuer>",
            attribute(self.id),
            text(&settings.entity_id),
        );
        let signature_at = xml.len();
        // SAML Core 3.4.1.1.
        let format = settings.name_id_format.uri().map(|format| format!(" Format=\"{format}\""));
        let format = format.unwrap_or_default();
        let _ = write!(xml, "<samlp:NameIDPolicy AllowCreate=\"true\"{format}></samlp:NameIDPolicy>");
        // SAML Core 3.3.2.2.1: "exact" is the only comparison whose answer can be checked, since the others need an order
        // of contexts that only the IdP knows.
        if !self.demand.contexts.is_empty() {
            xml.push_str("<samlp:RequestedAuthnContext Comparison=\"exact\">");
            for class in &self.demand.contexts {
                let _ = write!(
                    xml,
                    "<saml:AuthnContextClassRef xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">{}\
                     </saml:AuthnContextClassRef>",
                    text(class)
                );
            }
            xml.push_str("</samlp:RequestedAuthnContext>");
        }
        // SAML Core 3.4.1.2: which IdP behind a proxying one the person comes from.
        if let Some(idp) = &settings.idp_hint {
            let _ = write!(
                xml,
                "<samlp:Scoping><samlp:IDPList><samlp:IDPEntry ProviderID=\"{}\"></samlp:IDPEntry></samlp:IDPList>\
                 </samlp:Scoping>",
                attribute(idp)
            );
        }
        xml.push_str("</samlp:AuthnRequest>");
        Document { xml, signature_at }
    }
}
