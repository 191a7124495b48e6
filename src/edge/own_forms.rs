//! Forms that are posted to pages of our own: by whom, and what is in them.
use std::{collections::BTreeMap, time::Duration};

use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use super::{gate::Gate, logout, respond::Problem};

/// The fields of a form, each once.
pub type Fields = BTreeMap<String, String>;

/// Refuses a form that a page of another site posted: the browser's cookies say nothing of what its person wants (P-52).
pub fn check_origin(gate: &Gate, host: &str, fields: &HeaderMap) -> Result<(), Problem> {
    let origin = format!("{}://{host}", gate.settings.public_url.scheme);
    if logout::is_same_origin(fields, &origin) { Ok(()) } else { Err(Problem::CrossSite) }
}

/// Reads a form of at most `bytes_max`, capped while it streams.
pub async fn read(gate: &Gate, request: Request<Incoming>, bytes_max: usize) -> Result<Fields, Problem> {
    let (head, body) = request.into_parts();
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let media_type = kind.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Problem::Form("its Content-Type is another"));
    }
    let deadline = Duration::from_millis(gate.settings.acs_body_read_millis_max);
    let body = tokio::time::timeout(deadline, Limited::new(body, bytes_max).collect()).await;
    let body = body.map_err(|_| Problem::Form("it did not arrive in time"))?;
    let body = body.map_err(|_| Problem::Form("it broke off or is too long"))?.to_bytes();
    fields(&body)
}

/// The fields of a query or of a form's body.
pub fn fields(encoded: &[u8]) -> Result<Fields, Problem> {
    let mut fields = Fields::new();
    for (name, value) in form_urlencoded::parse(encoded) {
        if fields.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(Problem::Form("a field stands in it twice"));
        }
    }
    Ok(fields)
}
