//! Routes: which host and path goes to which origin server, and who may send requests there.
use std::borrow::Cow;

use crate::{
    access::{self, Origin, Route, RouteFault, Rule, canonical_host, canonical_path},
    domain::EnterpriseSlug,
    edge,
};

use super::{
    enterprise::Draft,
    fault::Place,
    reader::Reader,
    rule,
    server::{self, Ground},
    url::{Authority, WebUrl},
};

/// The routes and the places of their tables, in the same order.
pub struct Routes {
    pub routes: Vec<Route>,
    places: Vec<Place>,
}

impl Routes {
    /// The hosts on which an enterprise has routes, sorted.
    pub fn hosts(&self, slug: &EnterpriseSlug) -> Vec<String> {
        let own = |route: &&Route| matches!(&route.rule, Rule::Protected { enterprises, .. } if enterprises.contains(slug));
        let mut hosts: Vec<String> = self.routes.iter().filter(own).map(|route| route.host.clone()).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }

    /// All of them, with the places of their tables.
    pub fn placed(&self) -> impl Iterator<Item = (&Route, &Place)> {
        self.routes.iter().zip(&self.places)
    }

    /// The hosts of all routes.
    pub fn all_hosts(&self) -> Vec<String> {
        self.routes.iter().map(|route| route.host.clone()).collect()
    }

    pub fn serves(&self, host: &str) -> bool {
        self.routes.iter().any(|route| route.host == host)
    }
}

/// Reads every `[route.NAME]`.
pub fn read(reader: &mut Reader, ground: &Ground, edge: &edge::Settings, drafts: &[Draft]) -> Routes {
    let mut routes = Routes { routes: vec![], places: vec![] };
    for name in reader.names("route") {
        let place = reader.place(&format!("route.{name}"));
        if let Some(route) = route(reader, ground, edge, drafts, &name) {
            check_overlap(reader, &routes, &route, &place);
            routes.routes.push(route);
            routes.places.push(place);
        }
    }
    if reader.names("route").is_empty() {
        let place = reader.place("route");
        let hint = "write [route.NAME] with a path, an origin and an enterprise";
        reader.warn(&place, "route", "is missing: every request is refused", hint);
    }
    routes
}

fn route(
    reader: &mut Reader,
    ground: &Ground,
    edge: &edge::Settings,
    drafts: &[Draft],
    name: &str,
) -> Option<Route> {
    let path = format!("route.{name}");
    let host = host(reader, ground, &format!("{path}.host"));
    let path_prefix = path_prefix(reader, &format!("{path}.path"));
    let origin = origin(reader, ground, edge, &format!("{path}.origin"));
    let rule = rule::read(reader, &path, drafts);
    Some(Route {
        name: name.to_owned(),
        host: host?,
        path_prefix: path_prefix?,
        origin: origin?,
        rule: rule?,
    })
}

/// Hosts are compared with the Host field byte for byte once both are folded (P-40), so no wildcard.
fn host(reader: &mut Reader, ground: &Ground, path: &str) -> Option<String> {
    let Some(text) = reader.text(path) else { return Some(ground.authority()) };
    let authority = Authority::parse(&text.value).map(|authority| authority.shown(ground.https()));
    match authority
        .and_then(|host| canonical_host(&host, ground.scheme()).map(Cow::into_owned).map_err(|_| "no host"))
    {
        Ok(host) => Some(host),
        Err(why) => {
            let hint = "write the host as browsers send it: \"app.example.com\" or \"localhost:8080\"";
            reader.fault(&text.place, path, format!("{:?} is {why}", text.value), hint);
            None
        }
    }
}

/// P-20: a prefix is compared with canonical paths only, so it must be canonical itself.
fn path_prefix(reader: &mut Reader, path: &str) -> Option<String> {
    let hint = "write a path prefix: \"/\" for everything, or such as \"/reports\"";
    let text = reader.required(path, hint)?;
    let prefix = &text.value;
    if let Some(why) = prefix_fault(prefix) {
        reader.fault(&text.place, path, format!("{prefix:?} {why}"), hint);
        return None;
    }
    // An origin server that ignores case must not serve what looks like ours.
    let lenient = canonical_path(prefix).map(|path| path.lenient().to_owned()).unwrap_or_default();
    if let Some(reserved) = edge::router::RESERVED.iter().find(|reserved| is_under(&lenient, reserved)) {
        let why = format!("{prefix:?} lies in {reserved}, which is the gateway's own");
        reader.fault(&text.place, path, why, "choose another path");
        return None;
    }
    Some(text.value)
}

fn prefix_fault(prefix: &str) -> Option<String> {
    match canonical_path(prefix) {
        Err(fault) => Some(format!("is no path to match with: {fault}")),
        Ok(path) if path.as_str() != prefix => {
            Some(format!("has another canonical spelling, {:?}", path.as_str()))
        }
        Ok(_) if prefix.len() > 1 && prefix.ends_with('/') => Some("has a slash at its end".into()),
        Ok(_) => None,
    }
}

/// Whether `path` is `prefix` or lies below it, at a segment boundary.
fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn origin(reader: &mut Reader, ground: &Ground, edge: &edge::Settings, path: &str) -> Option<Origin> {
    let hint = "write http://HOST:PORT, where the application listens";
    let text = reader.required(path, hint)?;
    let url = reader.url(path, &text, hint)?;
    let shown = &text.value;
    let wrong = if url.https {
        Some("is https; origin servers are spoken to in plain HTTP")
    } else if url.path != "/" || url.has_query {
        Some("has a path or a query")
    } else if server::is_own(&url.authority, edge.listen) || url.authority.shown(false) == ground.authority()
    {
        Some("is the gateway itself")
    } else {
        None
    };
    if let Some(why) = wrong {
        reader.fault(&text.place, path, format!("{shown:?} {why}"), hint);
        return None;
    }
    Some(Origin { port: url.authority.port.unwrap_or(80), host: url.authority.host })
}

/// P-23: two routes of one host and path would let chance decide. What counts as one path is for `access` to say.
fn check_overlap(reader: &mut Reader, routes: &Routes, route: &Route, place: &Place) {
    for other in &routes.routes {
        let table = access::Routes::new(vec![other.clone(), route.clone()]);
        let duplicate = |fault: &RouteFault| matches!(fault, RouteFault::Duplicate { .. });
        if table.is_err_and(|faults| faults.iter().any(duplicate)) {
            let what = format!("route.{}", route.name);
            let why =
                format!("has the host and path of route.{}: {}{}", other.name, other.host, other.path_prefix);
            reader.fault(place, &what, why, "give it another path or host, or remove one of the two");
        }
    }
}

/// A route below an enterprise's own endpoints could never be reached (P-24).
pub fn check_endpoints(reader: &mut Reader, routes: &Routes, drafts: &[Draft]) {
    let several = drafts.len() > 1;
    for (route, place) in routes.routes.iter().zip(&routes.places) {
        for draft in drafts {
            let settings = &draft.settings;
            let home = several.then(|| format!("/enterprises/{}/saml", settings.slug));
            let acs_url =
                |url: &&String| WebUrl::parse(url).is_ok_and(|url| is_under(&route.path_prefix, &url.path));
            let taken = settings.acs_urls.iter().find(acs_url).cloned();
            let home = home.filter(|home| is_under(&route.path_prefix, home));
            if let Some(taken) = taken.or(home) {
                let what = format!("route.{}.path", route.name);
                let why = format!("{:?} lies in {taken}, which is the gateway's own", route.path_prefix);
                reader.fault(place, &what, why, "choose another path");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_canonical_or_refused() {
        for right in ["/", "/a", "/a/b.c", "/~alice", "/caf%C3%A9"] {
            assert_eq!(prefix_fault(right), None, "{right}");
        }
        for wrong in
            ["", "a", "/a/", "//", "/a//b", "/.", "/a/../b", "/%61", "/%c3%a9", "/a?b", "/a\\b", "/é", "/a b"]
        {
            assert!(prefix_fault(wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn prefixes_end_at_segment_boundaries() {
        assert!(is_under("/saml", "/saml") && is_under("/saml/acs", "/saml"));
        assert!(!is_under("/samlet", "/saml") && !is_under("/", "/saml"));
    }
}
