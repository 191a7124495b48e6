//! Forms that are posted to pages of our own: by whom, and what is in them.
use std::collections::BTreeMap;

use http::{HeaderMap, Request};
use hyper::body::Incoming;

use super::{
    form_fields::form_fields,
    gate::Gate,
    logout,
    respond::Problem,
    transport::{BodyLimits, FORM, TransportFault, is_media_type, read_body},
};

/// The fields of a form, each once.
pub type Fields = BTreeMap<String, String>;

/// Refuses a form that a page of another site posted: the browser's cookies say nothing of what its person wants (P-52).
pub fn check_origin(gate: &Gate, host: &str, fields: &HeaderMap) -> Result<(), Problem> {
    let origin = format!("{}://{host}", gate.settings.public_url.scheme);
    if logout::is_same_origin(fields, &origin) { Ok(()) } else { Err(Problem::CrossSite) }
}

/// Reads a form of at most `bytes_max`, capped while it streams.
pub async fn read(gate: &Gate, request: Request<Incoming>, bytes_max: usize) -> Result<Fields, Problem> {
    if !is_media_type(request.headers(), FORM) {
        return Err(Problem::FormTransport(TransportFault::ContentType));
    }
    let limits = BodyLimits { bytes_max, read_millis_max: gate.settings.acs_body_read_millis_max };
    let body = read_body(request.into_body(), limits).await;
    let body = body.map_err(Problem::FormTransport)?;
    fields(&body)
}

/// The fields of a query or of a form's body.
pub fn fields(encoded: &[u8]) -> Result<Fields, Problem> {
    let mut fields = Fields::new();
    for (name, value) in form_fields(encoded) {
        if fields.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(Problem::FormFieldTwice);
        }
    }
    Ok(fields)
}
