//! Writes the answer to an AuthnRequest (SAML Profiles 4.1.4.2) and the IdP's metadata.
use jiff::{SignedDuration, Timestamp};
use openssl::error::ErrorStack;

use super::{
    Authn, encrypter::Encrypter, people::Person, request::AuthnRequest, signer::Signer, xml::Element,
};

pub(super) const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
const BASIC: &str = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic";
const AUTHN_CONTEXT: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified";
const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const POST_BINDING: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";
const REDIRECT_BINDING: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";

/// How long an assertion is good for. Long enough for a slow network, short enough that a copy is soon worthless.
const ASSERTION_SECONDS: i64 = 300;

/// Which elements carry a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sign {
    Assertion,
    Response,
    #[default]
    Both,
}

/// What the `groups` attribute looks like for a person without groups: IdPs differ, and so do the consequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoGroups {
    /// The attribute is there without a value.
    #[default]
    Empty,
    /// The attribute is left out.
    Omitted,
}

/// Random IDs of one response (SAML Core 1.3.4: 128 bits or more).
pub(super) struct Ids {
    pub response: String,
    pub assertion: String,
    pub session: String,
}

/// All that a response says, before it is written.
pub(super) struct Answer<'a> {
    pub idp_entity_id: &'a str,
    pub request: &'a AuthnRequest,
    pub ids: Ids,
    pub now: Timestamp,
    pub sign: Sign,
    pub no_groups: NoGroups,
    /// SessionNotOnOrAfter, in seconds from now; left out if `None`.
    pub session_seconds: Option<u32>,
    pub authn: Authn,
    /// To whom the assertion is encrypted; to nobody if `None`.
    pub encrypter: Option<&'a Encrypter>,
}

/// Why the IdP answers without an assertion (SAML Core 3.2.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denial {
    /// The request asked not to show a page, and there is nobody signed in here, ever.
    NoPassive,
    /// The request wants a NameID format that this IdP has not.
    InvalidNameIdPolicy,
}

impl Answer<'_> {
    /// A signed Response with an assertion about `person`, whose NameID has `name_id_format`.
    pub(super) fn success(
        &self,
        person: &Person,
        name_id_format: &str,
        signer: &Signer,
    ) -> Result<String, ErrorStack> {
        let mut assertion = self.assertion(person, name_id_format);
        if self.sign != Sign::Response {
            signer.sign(&mut assertion)?;
        }
        if let Some(encrypter) = self.encrypter {
            assertion = encrypter.encrypt(&assertion)?;
        }
        let status = Element::new("samlp:StatusCode").with("Value", SUCCESS);
        let mut response = self.response(status).child(assertion);
        if self.sign != Sign::Assertion {
            signer.sign(&mut response)?;
        }
        Ok(response.canonical())
    }

    /// A Response that says no; it has no assertion, so it is itself signed.
    pub(super) fn denial(&self, denial: Denial, signer: &Signer) -> Result<String, ErrorStack> {
        let (top, second) = match denial {
            Denial::NoPassive => ("Responder", "NoPassive"),
            Denial::InvalidNameIdPolicy => ("Requester", "InvalidNameIDPolicy"),
        };
        let code = |name: &str| {
            let value = format!("urn:oasis:names:tc:SAML:2.0:status:{name}");
            Element::new("samlp:StatusCode").with("Value", value)
        };
        let mut response = self.response(code(top).child(code(second)));
        signer.sign(&mut response)?;
        Ok(response.canonical())
    }

    fn response(&self, status_code: Element) -> Element {
        let response = Element::new("samlp:Response")
            .with("ID", self.ids.response.as_str())
            .with("Version", "2.0")
            .with("IssueInstant", self.at(0))
            .with("Destination", self.request.acs_url.as_str());
        self.answering(response).child(self.issuer()).child(Element::new("samlp:Status").child(status_code))
    }

    /// SAML Profiles 4.1.5: what answers no request says so by saying nothing.
    fn answering(&self, element: Element) -> Element {
        match &self.request.id {
            Some(id) => element.with("InResponseTo", id.as_str()),
            None => element,
        }
    }

    fn assertion(&self, person: &Person, name_id_format: &str) -> Element {
        Element::new("saml:Assertion")
            .with("ID", self.ids.assertion.as_str())
            .with("Version", "2.0")
            .with("IssueInstant", self.at(0))
            .child(self.issuer())
            .child(self.subject(person, name_id_format))
            .child(self.conditions())
            .child(self.authn_statement())
            .child(self.attribute_statement(person))
    }

    fn issuer(&self) -> Element {
        Element::new("saml:Issuer").text(self.idp_entity_id)
    }

    fn subject(&self, person: &Person, name_id_format: &str) -> Element {
        let data = self
            .answering(Element::new("saml:SubjectConfirmationData"))
            .with("NotOnOrAfter", self.at(ASSERTION_SECONDS))
            .with("Recipient", self.request.acs_url.as_str());
        Element::new("saml:Subject")
            .child(Element::new("saml:NameID").with("Format", name_id_format).text(person.email.as_str()))
            .child(Element::new("saml:SubjectConfirmation").with("Method", BEARER).child(data))
    }

    fn conditions(&self) -> Element {
        let audience = Element::new("saml:Audience").text(self.request.issuer.as_str());
        Element::new("saml:Conditions")
            .with("NotBefore", self.at(0))
            .with("NotOnOrAfter", self.at(ASSERTION_SECONDS))
            .child(Element::new("saml:AudienceRestriction").child(audience))
    }

    fn authn_statement(&self) -> Element {
        let Authn { session_age_seconds, ignores_demands } = self.authn;
        let asked = self.request.contexts.first().filter(|_| !ignores_demands);
        let class = asked.map_or(AUTHN_CONTEXT, String::as_str);
        let class = Element::new("saml:AuthnContextClassRef").text(class);
        let anew = self.request.force_authn && !ignores_demands;
        let age = if anew { 0 } else { i64::from(session_age_seconds) };
        let mut statement = Element::new("saml:AuthnStatement")
            .with("AuthnInstant", self.at(-age))
            .with("SessionIndex", self.ids.session.as_str());
        if let Some(seconds) = self.session_seconds {
            statement = statement.with("SessionNotOnOrAfter", self.at(seconds.into()));
        }
        statement.child(Element::new("saml:AuthnContext").child(class))
    }

    fn attribute_statement(&self, person: &Person) -> Element {
        let attribute = |name: &str, values: &[String]| {
            Element::new("saml:Attribute")
                .with("Name", name)
                .with("NameFormat", BASIC)
                .children(values.iter().map(|value| Element::new("saml:AttributeValue").text(value.as_str())))
        };
        let mut statement = Element::new("saml:AttributeStatement")
            .child(attribute("uid", std::slice::from_ref(&person.id)))
            .child(attribute("email", std::slice::from_ref(&person.email)))
            .child(attribute("displayName", std::slice::from_ref(&person.display_name)));
        if !person.groups.is_empty() || self.no_groups == NoGroups::Empty {
            statement = statement.child(attribute("groups", &person.groups));
        }
        statement
    }

    /// `seconds` from now, in UTC without fractions (SAML Core 1.3.3).
    fn at(&self, seconds: i64) -> String {
        let later = self.now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
        later.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

/// Metadata of the IdP (SAML Metadata 2.4.3).
pub(super) fn metadata(
    entity_id: &str,
    sso_url: &str,
    slo_url: &str,
    wants_signed: bool,
    signer: &Signer,
) -> String {
    let key = Element::new("md:KeyDescriptor").with("use", "signing").child(signer.key_info());
    let format = |format: &str| Element::new("md:NameIDFormat").text(format);
    let slo = |binding: &str| {
        Element::new("md:SingleLogoutService").with("Binding", binding).with("Location", slo_url)
    };
    let sso =
        |binding| Element::new("md:SingleSignOnService").with("Binding", binding).with("Location", sso_url);
    let role = Element::new("md:IDPSSODescriptor")
        .with("WantAuthnRequestsSigned", wants_signed.to_string())
        .with("protocolSupportEnumeration", PROTOCOL)
        .child(key)
        .children([REDIRECT_BINDING, POST_BINDING].map(slo))
        .child(format(super::request::PERSISTENT))
        .child(format(super::request::EMAIL_ADDRESS))
        .child(sso(REDIRECT_BINDING))
        .child(sso(POST_BINDING));
    Element::new("md:EntityDescriptor").with("entityID", entity_id).child(role).canonical()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idp::{Settings, people::example_people, request};

    fn signer() -> Signer {
        let settings = Settings::development(([127, 0, 0, 1], 0).into());
        Signer::new(&settings.key_pem, &settings.certificate_pem).unwrap()
    }

    fn request() -> AuthnRequest {
        AuthnRequest {
            id: Some("_r".into()),
            name_id_format: request::PERSISTENT.into(),
            ..AuthnRequest::unsolicited("urn:sp".into(), "http://localhost/acs".into())
        }
    }

    fn answer(request: &AuthnRequest) -> Answer<'_> {
        Answer {
            idp_entity_id: "urn:idp",
            request,
            ids: Ids { response: "_a".into(), assertion: "_b".into(), session: "_s".into() },
            now: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            sign: Sign::Both,
            no_groups: NoGroups::Empty,
            session_seconds: None,
            authn: Authn::default(),
            encrypter: None,
        }
    }

    #[test]
    fn what_is_signed() {
        let request = request();
        let check = |sign, response: usize, assertion: usize| {
            let answer = Answer { sign, ..answer(&request) };
            let xml = answer.success(&example_people()[0], request::PERSISTENT, &signer()).unwrap();
            assert_eq!(xml.matches("URI=\"#_a\"").count(), response, "{sign:?}");
            assert_eq!(xml.matches("URI=\"#_b\"").count(), assertion, "{sign:?}");
        };
        check(Sign::Both, 1, 1);
        check(Sign::Response, 1, 0);
        check(Sign::Assertion, 0, 1);
    }

    #[test]
    fn groups_and_times() {
        let request = request();
        let say = |answer: &Answer<'_>, n: usize| {
            answer.success(&example_people()[n], request::PERSISTENT, &signer()).unwrap()
        };
        let alice = say(&answer(&request), 0);
        assert!(alice.contains("<saml:AttributeValue>octo-org-owners</saml:AttributeValue>"));
        assert!(alice.contains("NotBefore=\"2026-01-02T03:04:05Z\" NotOnOrAfter=\"2026-01-02T03:09:05Z\""));
        assert!(!alice.contains("SessionNotOnOrAfter"));
        let long = Answer { session_seconds: Some(3600), ..answer(&request) };
        assert!(say(&long, 0).contains("SessionNotOnOrAfter=\"2026-01-02T04:04:05Z\""));
        let dave = say(&answer(&request), 3);
        assert!(dave.contains("Name=\"groups\"") && dave.contains("basic\"></saml:Attribute>"));
        let omitted = Answer { no_groups: NoGroups::Omitted, ..answer(&request) };
        assert!(!say(&omitted, 3).contains("Name=\"groups\""));
        assert!(say(&omitted, 0).contains("Name=\"groups\""));
    }

    #[test]
    fn denials_carry_no_assertion() {
        let request = request();
        let xml = answer(&request).denial(Denial::NoPassive, &signer()).unwrap();
        assert!(xml.contains("status:Responder") && xml.contains("status:NoPassive"));
        assert!(xml.contains("URI=\"#_a\"") && !xml.contains("saml:Assertion ") && !xml.contains("Success"));
    }
}
