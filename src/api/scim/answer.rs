//! What a call answers: media types, fields, and a body that may be longer than memory.
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::stream::Pieces;
use crate::scim::Version;

/// A body.
pub enum Payload {
    Full(Bytes),
    /// It comes from the store while it is sent.
    Pieces(Box<Pieces>),
}

/// RFC 7644 3.8
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MediaType {
    #[default]
    Scim,
    Json,
}

impl MediaType {
    /// What the client understands: `application/json` if it says so and does not say `application/scim+json`, or if it will not
    /// have that. What it says beside that does not matter, for there is nothing else to give.
    pub fn accepted(fields: &HeaderMap) -> Self {
        let values = fields.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let (mut scim, mut json) = (None, None);
        for range in values.flat_map(|value| value.split(',')) {
            let (kind, parameters) = range.split_once(';').unwrap_or((range, ""));
            for (name, taken) in [("application/scim+json", &mut scim), ("application/json", &mut json)] {
                if kind.trim().eq_ignore_ascii_case(name) {
                    *taken = Some(!is_refused(parameters));
                }
            }
        }
        match (scim, json) {
            (None, Some(true)) | (Some(false), None | Some(true)) => Self::Json,
            _ => Self::Scim,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Scim => "application/scim+json;charset=utf-8",
            Self::Json => "application/json;charset=utf-8",
        }
    }
}

/// RFC 9110 12.4.2: a weight of 0 is "not acceptable".
fn is_refused(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, weight)| {
        name.trim().eq_ignore_ascii_case("q")
            && weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0)
    })
}

/// Whether a body comes as it is: nothing here undoes a content coding (RFC 9110 8.4).
pub fn is_uncoded(fields: &HeaderMap) -> bool {
    let values = fields.get_all(header::CONTENT_ENCODING).iter().map(|value| value.to_str().unwrap_or("?"));
    let mut codings = values.flat_map(|value| value.split(',')).map(str::trim);
    codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
}

/// Whether a body is said to be JSON in UTF-8, or nothing is said of it.
pub fn is_json(fields: &HeaderMap) -> bool {
    let mut kinds = fields.get_all(header::CONTENT_TYPE).iter();
    let kind = match (kinds.next(), kinds.next()) {
        (None, _) => return true,
        (Some(kind), None) => kind,
        _ => return false,
    };
    let mut parts = kind.to_str().unwrap_or_default().split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let is_ours = ["application/scim+json", "application/json"]
        .iter()
        .any(|known| media_type.eq_ignore_ascii_case(known));
    // A charset is the only parameter that could make other text of the octets.
    let is_other_charset = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("charset") && !value.eq_ignore_ascii_case("utf-8")
    };
    is_ours && !parts.any(is_other_charset)
}

/// An answer of a kind, before it is put into the client's media type.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Option<Body>,
    /// RFC 7644 3.14
    pub etag: Option<String>,
    /// Of what was created or changed.
    pub location: Option<String>,
}

pub enum Body {
    Json(Vec<u8>),
    Pieces(Box<Pieces>),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json(json) => write!(f, "Json({} bytes)", json.len()),
            Self::Pieces(_) => f.write_str("Pieces"),
        }
    }
}

impl Answer {
    pub fn of(status: StatusCode, body: &impl Serialize) -> Self {
        // Texts, numbers, lists and maps of them: serde_json has nothing to refuse.
        let json = serde_json::to_vec(body).unwrap_or_default();
        Self { status, body: Some(Body::Json(json)), etag: None, location: None }
    }

    pub fn empty(status: StatusCode) -> Self {
        Self { status, body: None, etag: None, location: None }
    }

    /// Of what is written already.
    pub fn json(status: StatusCode, json: String) -> Self {
        Self::written(status, Body::Json(json.into_bytes()))
    }

    pub fn written(status: StatusCode, body: Body) -> Self {
        Self { body: Some(body), ..Self::empty(status) }
    }

    /// RFC 9110 15.4.5
    pub fn not_modified(version: &Version) -> Self {
        Self { etag: Some(version.to_string()), ..Self::empty(StatusCode::NOT_MODIFIED) }
    }

    /// The same with the fields of a resource.
    #[must_use]
    pub fn resource(self, version: &Version, location: String) -> Self {
        Self { etag: Some(version.to_string()), location: Some(location), ..self }
    }

    pub fn response(self, media_type: MediaType) -> Response<Payload> {
        let mut response = match self.body {
            Some(Body::Json(json)) => json_response(self.status, media_type, Payload::Full(json.into())),
            Some(Body::Pieces(pieces)) => json_response(self.status, media_type, Payload::Pieces(pieces)),
            None => plain(self.status, Payload::Full(Bytes::new())),
        };
        for (name, value) in [(header::ETAG, self.etag), (header::LOCATION, self.location)] {
            if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// A body of JSON that is written already.
pub fn json(status: StatusCode, media_type: MediaType, body: Bytes) -> Response<Payload> {
    json_response(status, media_type, Payload::Full(body))
}

fn json_response(status: StatusCode, media_type: MediaType, payload: Payload) -> Response<Payload> {
    let mut response = plain(status, payload);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type.text()));
    response
}

/// With the fields that everything of ours carries: nothing is stored, framed, sniffed or executed.
fn plain(status: StatusCode, payload: Payload) -> Response<Payload> {
    const FIELDS: [(HeaderName, &str); 4] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let mut response = Response::new(payload);
    *response.status_mut() = status;
    for (name, value) in FIELDS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(name: HeaderName, values: &[&str]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for value in values {
            fields.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        fields
    }

    #[test]
    fn answers_are_scim_unless_only_json_is_asked_for() {
        let accepted = |values: &[&str]| MediaType::accepted(&fields(header::ACCEPT, values));
        for (values, expected) in [
            (&[][..], MediaType::Scim),
            (&["*/*"], MediaType::Scim),
            (&["application/json"], MediaType::Json),
            (&["application/json, text/plain, */*"], MediaType::Json),
            (&["Application/JSON;q=0.9"], MediaType::Json),
            (&["application/json, application/scim+json"], MediaType::Scim),
            (&["application/json", "application/scim+json"], MediaType::Scim),
            (&["text/html"], MediaType::Scim),
            (&["application/scim+json;q=0, application/json"], MediaType::Json),
            (&["application/json", "application/scim+json; Q=0.000"], MediaType::Json),
            (&["application/scim+json;q=0, */*"], MediaType::Json),
            (&["application/scim+json;q=0.1, application/json"], MediaType::Scim),
            (&["application/json;q=0"], MediaType::Scim),
        ] {
            assert_eq!(accepted(values), expected, "{values:?}");
        }
    }

    #[test]
    fn v_18_json_and_nothing_else() {
        let read = |values: &[&str]| is_json(&fields(header::CONTENT_TYPE, values));
        for good in [
            &[][..],
            &["application/scim+json"],
            &["application/json; charset=UTF-8"],
            &["Application/Scim+JSON;charset=\"utf-8\""],
            &["application/scim+json; version=2"],
        ] {
            assert!(read(good), "{good:?}");
        }
        for bad in [
            &["text/plain"][..],
            &["application/x-www-form-urlencoded"],
            &["application/json; charset=utf-16"],
            &["application/json", "application/json"],
            &[""],
        ] {
            assert!(!read(bad), "{bad:?}");
        }
    }
}
