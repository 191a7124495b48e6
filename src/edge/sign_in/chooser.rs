//! The chooser: which of several enterprises a person belongs to, by the domain of their e-mail address.
//!
//! It decides only where a person is sent to sign in. Who they are says their IdP, and nobody is identified by e-mail.
use std::collections::HashMap;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::{Ask, RETURN_TO_BYTES_MAX, own_path, return_path, start};
use crate::{
    access::{self, Found, Rule},
    domain::{AuthnDemand, EnterpriseSlug},
    edge::{
        form_fields::form_fields,
        forms,
        gate::Gate,
        respond::Problem,
        transport::{self, BodyLimits, TransportFault},
    },
    proxy::Body,
};

/// Where it lies, on every host that several enterprises could sign in on.
pub const PATH: &str = "/saml/choose";
/// RFC 5321 4.5.3.1.3: a path has 256 octets, of which two are its brackets.
const EMAIL_BYTES_MAX: usize = 254;
/// The chooser's form: an address and a path to return to, percent-encoded.
const FORM_BYTES_MAX: usize = 3 * (RETURN_TO_BYTES_MAX + EMAIL_BYTES_MAX) + 256;

/// Which enterprise a domain of e-mail addresses belongs to: lower-case ASCII, compared as a whole.
#[derive(Debug, Clone, Default)]
pub struct Domains(HashMap<String, EnterpriseSlug>);

impl Domains {
    /// Of two enterprises with one domain the configuration has been told before; here the first keeps it.
    pub fn new(domains: impl IntoIterator<Item = (String, EnterpriseSlug)>) -> Self {
        let mut all = HashMap::new();
        for (domain, enterprise) in domains {
            all.entry(domain).or_insert(enterprise);
        }
        Self(all)
    }

    fn of(&self, email: &Email) -> Option<&EnterpriseSlug> {
        self.0.get(&email.domain)
    }
}

/// What may be an e-mail address, as far as sending somebody on asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    text: String,
    /// Lower case.
    domain: String,
}

impl Email {
    /// Blanks around it are not minded; `None` for what has no local part and domain, or any character that no address has.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let (local, domain) = text.rsplit_once('@')?;
        let plain = |c: char| !c.is_control() && !c.is_whitespace();
        let is_domain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        let whole = !local.is_empty() && !domain.is_empty() && text.len() <= EMAIL_BYTES_MAX;
        (whole && local.chars().all(plain) && domain.chars().all(is_domain))
            .then(|| Self { text: text.to_owned(), domain: domain.to_ascii_lowercase() })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Where a navigation to `return_to` goes that the chooser must answer first.
pub fn redirect(gate: &Gate, host: &str, return_to: &str) -> Result<Response<Body>, Problem> {
    // What a later step would refuse is not asked of it.
    let return_to = own_path(return_to).ok().filter(|path| path.len() <= RETURN_TO_BYTES_MAX);
    let return_to = return_to.as_deref().unwrap_or("/");
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("return_to", return_to).finish();
    let url = format!("{}://{host}{PATH}?{query}", gate.settings.public_url.scheme);
    transport::redirect(StatusCode::FOUND, &url)
}

/// The page, and what it posts.
pub async fn serve(gate: &Gate, host: &str, request: Request<Incoming>) -> Result<Response<Body>, Problem> {
    if request.method() == Method::POST {
        return choose(gate, host, request).await;
    }
    let Form { return_to, .. } = Form::read(request.uri().query().unwrap_or_default().as_bytes())?;
    let return_to = return_path(gate, host, &return_to)?;
    forms::choose(&gate.settings.public_url.scheme, &return_to, None)
}

async fn choose(gate: &Gate, host: &str, request: Request<Incoming>) -> Result<Response<Body>, Problem> {
    let (head, body) = request.into_parts();
    if !transport::is_media_type(&head.headers, transport::FORM) {
        return Err(Problem::FormTransport(TransportFault::ContentType));
    }
    let limits = BodyLimits { bytes_max: FORM_BYTES_MAX, ..BodyLimits::of(&gate.settings) };
    let body = transport::read_body(body, limits).await.map_err(Problem::FormTransport)?;
    let Form { email, return_to } = Form::read(&body)?;
    let return_to = return_path(gate, host, &return_to)?;
    let found = Email::parse(&email)
        .and_then(|email| Some((gate.domains.of(&email)?, email)))
        .filter(|(enterprise, _)| is_candidate(gate, host, &return_to, enterprise));
    match found {
        // V-20: the same page for what is no address, for a domain that nobody has, and for one that does not sign in here.
        None => forms::choose(&gate.settings.public_url.scheme, &return_to, Some(&email)),
        Some((enterprise, email)) => {
            let demand = AuthnDemand::default();
            let login_hint = Some(email.as_str());
            let ask = Ask { enterprise, host, return_to: &return_to, demand, login_hint };
            start(gate, ask, &head.headers).await
        }
    }
}

/// Whether people of the enterprise could open `return_to` on this host once they have signed in.
fn is_candidate(gate: &Gate, host: &str, return_to: &str, enterprise: &EnterpriseSlug) -> bool {
    let path = return_to.split('?').next().unwrap_or_default();
    let named = match access::canonical_path(path).map(|path| gate.routes.find(host, &path)) {
        Ok(Found::Route(route)) => match &route.rule {
            Rule::Protected { enterprises, .. } => enterprises.contains(enterprise),
            Rule::Public => true,
        },
        _ => true,
    };
    named && gate.acs_url(enterprise, host).is_some()
}

/// What the chooser's query or form says.
struct Form {
    email: String,
    return_to: String,
}

impl Form {
    fn read(encoded: &[u8]) -> Result<Self, Problem> {
        let (mut email, mut return_to) = (None, None);
        for (name, value) in form_fields(encoded) {
            let slot = match name.as_ref() {
                "email" => &mut email,
                "return_to" => &mut return_to,
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err(Problem::FormFieldTwice);
            }
        }
        Ok(Self { email: email.unwrap_or_default(), return_to: return_to.unwrap_or_else(|| "/".into()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v_20_a_domain_is_found_as_a_whole_or_not_at_all() {
        let acme = EnterpriseSlug::parse("acme").unwrap();
        let domains = Domains::new([("acme.example".into(), acme.clone())]);
        let found = |text: &str| Email::parse(text).and_then(|email| domains.of(&email).cloned());
        for right in ["alice@acme.example", " alice@ACME.example\n", "\"a@b\"@acme.example"] {
            assert_eq!(found(right), Some(acme.clone()), "{right}");
        }
        for wrong in [
            "",
            "acme.example",
            "@acme.example",
            "alice@",
            "alice@acme.example.",
            "alice@sub.acme.example",
            "alice@evil-acme.example",
            "alice@acme.example@evil.example",
            "alice@acme.exampl\u{c9}",
            "al ice@acme.example",
            "alice\u{0}@acme.example",
        ] {
            assert_eq!(found(wrong), None, "{wrong}");
        }
        assert!(Email::parse(&format!("{}@acme.example", "a".repeat(241))).is_some());
        assert!(Email::parse(&format!("{}@acme.example", "a".repeat(242))).is_none());
    }
}
