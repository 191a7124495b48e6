//! The table of routes: exact host, longest prefix at a segment boundary, and nothing by default (P-21, P-23).
use std::collections::HashMap;

use super::{CanonicalPath, PathFault, Route, canonical_path};

/// All routes, by host. Only [`Routes::new`] makes one, so two routes never compete for a request.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    hosts: HashMap<String, Vec<Entry>>,
}

#[derive(Debug, Clone)]
struct Entry {
    route: Route,
    /// The prefix as [`CanonicalPath::lenient`] reads it.
    lenient_prefix: String,
}

/// What the table says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    Route(&'a Route),
    /// Origin servers that ignore case, parameters or trailing dots would file the path under another route.
    Ambiguous,
    NoRoute,
    UnknownHost,
}

/// Why a table of routes was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteFault {
    #[error("route {name:?}: the prefix {prefix:?} is not canonical: {fault}")]
    Path { name: String, prefix: String, fault: PathFault },
    #[error("route {name:?}: the prefix {prefix:?} must read {expected:?}")]
    Spelling { name: String, prefix: String, expected: String },
    #[error("routes {first:?} and {second:?} serve the same host and prefix")]
    Duplicate { first: String, second: String },
}

impl Routes {
    /// Checks every route; all faults are reported at once. Nested prefixes are fine, the longest wins; two that
    /// are equal to a lenient reader (`/admin` and `/Admin`) are not.
    pub fn new(routes: Vec<Route>) -> Result<Self, Vec<RouteFault>> {
        let mut faults = vec![];
        let mut hosts: HashMap<String, Vec<Entry>> = HashMap::new();
        for route in routes {
            match canonical_prefix(&route) {
                Err(fault) => faults.push(fault),
                Ok(lenient_prefix) => {
                    let entries = hosts.entry(route.host.clone()).or_default();
                    if let Some(other) = entries.iter().find(|e| e.lenient_prefix == lenient_prefix) {
                        let (first, second) = (other.route.name.clone(), route.name.clone());
                        faults.push(RouteFault::Duplicate { first, second });
                    }
                    entries.push(Entry { route, lenient_prefix });
                }
            }
        }
        for entries in hosts.values_mut() {
            entries.sort_by_key(|e| std::cmp::Reverse(e.route.path_prefix.len()));
        }
        if faults.is_empty() { Ok(Self { hosts }) } else { Err(faults) }
    }

    /// The route of a request, by canonical host and path. The query plays no part.
    pub fn find(&self, host: &str, path: &CanonicalPath) -> Found<'_> {
        let Some(entries) = self.hosts.get(host) else { return Found::UnknownHost };
        let strict = entries.iter().position(|e| covers(&e.route.path_prefix, path.as_str()));
        let lenient = entries.iter().enumerate().filter(|(_, e)| covers(&e.lenient_prefix, path.lenient()));
        let lenient = lenient.max_by_key(|(_, e)| e.lenient_prefix.len()).map(|(index, _)| index);
        if strict != lenient {
            return Found::Ambiguous;
        }
        strict.and_then(|index| entries.get(index)).map_or(Found::NoRoute, |e| Found::Route(&e.route))
    }

    pub fn knows_host(&self, host: &str) -> bool {
        self.hosts.contains_key(host)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.hosts.values().flatten().map(|entry| &entry.route)
    }
}

/// Whether `path` lies under `prefix`, which ends at a segment boundary.
pub fn covers(prefix: &str, path: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => prefix.ends_with('/') || rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

/// The lenient reading of a route's prefix, if the prefix is canonical and ends at a segment boundary.
fn canonical_prefix(route: &Route) -> Result<String, RouteFault> {
    let (name, prefix) = (route.name.clone(), route.path_prefix.clone());
    let canonical = match canonical_path(&prefix) {
        Ok(canonical) => canonical,
        Err(fault) => return Err(RouteFault::Path { name, prefix, fault }),
    };
    let expected = match canonical.as_str().strip_suffix('/') {
        Some(shorter) if !shorter.is_empty() => shorter,
        _ => canonical.as_str(),
    };
    if expected != prefix {
        return Err(RouteFault::Spelling { name, prefix, expected: expected.to_owned() });
    }
    Ok(canonical.lenient().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::*, *};

    fn route(name: &str, host: &str, path_prefix: &str) -> Route {
        let origin = Origin { host: "127.0.0.1".into(), port: 9000 };
        Route {
            name: name.into(),
            host: host.into(),
            path_prefix: path_prefix.into(),
            origin,
            rule: Rule::Public,
        }
    }

    fn table() -> Routes {
        Routes::new(vec![
            route("all", "a.example.com", "/"),
            route("admin", "a.example.com", "/admin"),
            route("deep", "a.example.com", "/admin/deep"),
            route("reports", "b.example.com", "/reports"),
        ])
        .unwrap()
    }

    fn name(table: &Routes, host: &str, path: &str) -> String {
        match table.find(host, &canonical_path(path).unwrap()) {
            Found::Route(route) => route.name.clone(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn p23_longest_prefix_at_a_segment_boundary_and_default_deny() {
        let table = table();
        for (host, path, expected) in [
            ("a.example.com", "/", "all"),
            ("a.example.com", "/admin", "admin"),
            ("a.example.com", "/admin/", "admin"),
            ("a.example.com", "/admin/x", "admin"),
            ("a.example.com", "/admin/deep/x", "deep"),
            ("a.example.com", "/admin/deeper", "admin"),
            ("a.example.com", "/administrator", "all"),
            ("b.example.com", "/reports/1", "reports"),
            ("b.example.com", "/reports2", "NoRoute"),
            ("b.example.com", "/", "NoRoute"),
            ("c.example.com", "/", "UnknownHost"),
            ("a.example.com.", "/", "UnknownHost"),
        ] {
            assert_eq!(name(&table, host, path), expected, "{host}{path}");
        }
    }

    #[test]
    fn p20_paths_that_lenient_origin_servers_read_otherwise_are_refused() {
        let table = table();
        for path in
            ["/ADMIN", "/admin;x", "/admin%20/x", "/admin./x", "/admin..;/x", "/Admin/deep", "/admin/Deep"]
        {
            assert_eq!(name(&table, "a.example.com", path), "Ambiguous", "{path}");
        }
        // Where both readings find the same route there is nothing to gain.
        for (path, expected) in
            [("/Index.HTML", "all"), ("/admin/X;v=1", "admin"), ("/x;jsessionid=1", "all")]
        {
            assert_eq!(name(&table, "a.example.com", path), expected, "{path}");
        }
    }

    #[test]
    fn p23_competing_or_misspelt_routes_do_not_start() {
        let faults = Routes::new(vec![
            route("one", "a.example.com", "/x"),
            route("two", "a.example.com", "/x"),
            route("three", "a.example.com", "/X"),
            route("four", "a.example.com", "/y/"),
            route("five", "a.example.com", "/%7a"),
            route("six", "a.example.com", "z"),
            route("seven", "b.example.com", "/x"),
        ])
        .unwrap_err();
        assert_eq!(faults.len(), 5, "{faults:?}");
        assert!(
            matches!(&faults[0], RouteFault::Duplicate { first, second } if first == "one" && second == "two")
        );
        assert!(matches!(&faults[1], RouteFault::Duplicate { .. }));
        assert!(matches!(&faults[2], RouteFault::Spelling { expected, .. } if expected == "/y"));
        assert!(matches!(&faults[3], RouteFault::Spelling { expected, .. } if expected == "/z"));
        assert!(matches!(&faults[4], RouteFault::Path { fault: PathFault::NotAbsolute, .. }));
    }
}
