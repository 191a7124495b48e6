//! Hosts, paths, methods and rules over raw sockets: security items P-14, P-20 to P-25, P-40, P-53, P-54.
use crate::gate_rig::Rig;

#[test]
fn p14_methods() {
    let rig = Rig::new();
    for line in ["TRACE /public", "CONNECT app.example.com:80"] {
        let answer = rig.request(line, "");
        assert_eq!(answer.status, 405, "{line}");
        assert_eq!(answer.values("allow").len(), 1, "{line}");
    }
    for line in ["OPTIONS /", "GET /x", "PURGE /", "POST /"] {
        assert_eq!(rig.request(line, "Sec-Fetch-Mode: cors\r\n").status, 401, "{line}");
    }
    assert!(rig.origin.take().is_empty());
}

#[test]
fn p20_what_is_matched_is_what_is_forwarded() {
    let rig = Rig::new();
    for (target, forwarded) in [
        ("/", "/"),
        ("/%61dmin", "/admin"),
        ("/a%2db/?q=%2e%2e/&r=a|b", "/a-b/?q=%2e%2e/&r=a|b"),
        ("/a%c3%bc", "/a%C3%BC"),
        ("/a;v=1", "/a;v=1"),
        ("/%70ublic/x", "/public/x"),
        ("/x?", "/x?"),
    ] {
        assert_eq!(rig.get(target).status, 200, "{target}");
        assert_eq!(rig.origin.one().target(), forwarded);
    }
}

#[test]
fn p20_ambiguous_paths_are_refused() {
    let rig = Rig::new();
    for target in [
        "/public/..;/admin",
        "/public/%2e%2e/admin",
        "/public/..%2fadmin",
        "/public%2f..%2fadmin",
        "/public/../admin",
        "//admin",
        "/./admin",
        "/public/.",
        "/public/..",
        "/public/x%00",
        "/public/x%0d%0aX",
        "/public\\..\\admin",
        "/public/%5c..%5cadmin",
        "/public/%c0%af..%c0%afadmin",
        "/public/%252e%252e/admin",
        "/public/%u002e%u002e/admin",
        "/public/%",
        "/public/x#/y",
        "/public#",
        // Another route to a lenient origin server.
        "/LEGAL",
        "/legal;x",
        "/legal%20/x",
        "/legal./x",
        "/Public/x",
        "/public;/x",
    ] {
        assert_eq!(rig.get(target).status, 400, "{target}");
    }
    assert!(rig.origin.take().is_empty());
}

#[test]
fn p21_rules_match_the_path_only() {
    let rig = Rig::new();
    for target in ["/admin?x=/public/", "/admin?/public", "/x/public"] {
        assert_eq!(rig.request(&format!("POST {target}"), "").status, 401, "{target}");
    }
    assert!(rig.origin.take().is_empty());
}

#[test]
fn p22_request_target_forms() {
    let rig = Rig::new();
    for (target, status) in [
        ("http://app.example.com/public", 200),
        ("http://APP.example.com:80/public", 200),
        ("http://b.example.com/public", 400),
        ("http://other.example/public", 400),
        ("http://x@app.example.com/public", 400),
        ("ftp://app.example.com/public", 400),
        ("//other.example/public", 400),
        ("app.example.com:80", 400),
        ("*", 400),
        ("public", 400),
    ] {
        assert_eq!(rig.request(&format!("GET {target}"), "").status, status, "{target}");
    }
    for recorded in rig.origin.take() {
        assert_eq!(recorded.target(), "/public");
        assert_eq!(recorded.values("host"), ["app.example.com"]);
    }
}

#[test]
fn p23_nothing_is_served_by_default() {
    let rig = Rig::new();
    let at = |host: &str, path: &str| {
        rig.raw(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).status
    };
    assert_eq!(at("b.example.com", "/b/x"), 200);
    assert_eq!(at("b.example.com", "/"), 404);
    assert_eq!(at("b.example.com", "/bx"), 404);
    assert_eq!(at("c.example.com", "/"), 421);
    assert_eq!(rig.origin.take().len(), 1);
}

#[test]
fn p24_own_paths_are_never_forwarded() {
    let rig = Rig::new();
    for path in [
        "/saml",
        "/saml/acs",
        "/SAML/acs",
        "/%73aml/acs",
        "/.portcullis/x",
        "/.well-known/portcullis/jwks.json",
    ] {
        assert_eq!(rig.get(path).status, 404, "{path}");
    }
    assert_eq!(rig.get("/sso/acs").status, 405);
    assert!(rig.origin.take().is_empty());
    assert_eq!(rig.get("/samlet").status, 200);
}

#[test]
fn p25_only_navigations_start_a_sign_in() {
    let rig = Rig::new();
    for (line, fields) in [
        ("POST /x", ""),
        ("POST /x", "Sec-Fetch-Mode: navigate\r\n"),
        ("POST /x", "Accept: */*\r\n"),
        ("POST /x", "Accept: application/json\r\n"),
        ("GET /x", "Sec-Fetch-Mode: cors\r\n"),
        ("GET /x", "X-Requested-With: XMLHttpRequest\r\n"),
        ("GET /x", "Accept: application/json\r\n"),
    ] {
        let answer = rig.request(line, fields);
        assert_eq!(answer.status, 401, "{line} {fields}");
        assert_eq!(answer.values("content-type"), ["application/json"]);
        assert_eq!(answer.values("cache-control"), ["no-store"]);
        assert!(answer.values("set-cookie").is_empty());
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["error"], "sign_in_required");
        assert_eq!(body["location"], "http://app.example.com/");
        assert_eq!([body["request_id"].as_str().unwrap()], answer.values("x-request-id")[..]);
    }
    // A form that a person posted: nothing is redirected either, and they read why.
    let form = rig.request("POST /x", "Sec-Fetch-Mode: navigate\r\nAccept: text/html,*/*;q=0.8\r\n");
    assert_eq!((form.status, form.values("content-type")), (401, vec!["text/html; charset=utf-8"]));
    assert!(form.values("set-cookie").is_empty() && form.values("location").is_empty());
    assert!(form.body.contains("what you sent did not get through"), "{}", form.body);
    // Without a store no sign-in starts; that one was tried is what counts here.
    let navigation = rig.request("GET /x", "Sec-Fetch-Mode: navigate\r\nAccept: text/html\r\n");
    assert_ne!(navigation.status, 401);
    assert!(rig.origin.take().is_empty());
}

#[test]
fn p40_hosts() {
    let rig = Rig::new();
    for (lines, status) in [
        ("Host: app.example.com", 200),
        ("Host: APP.EXAMPLE.COM:80", 200),
        ("", 400),
        ("Host:", 400),
        ("Host: app.example.com\r\nHost: app.example.com", 400),
        ("Host: app.example.com, b.example.com", 400),
        ("Host: alice@app.example.com", 400),
        ("Host: app.example.com.", 400),
        ("Host: app.example.com:080", 400),
        ("Host: app.example.com:81", 421),
        ("Host: 127.0.0.1", 421),
        ("Host: [::1]", 421),
        ("Host: xn--pp-xka.example.com", 421),
        ("Host: \u{e4}pp.example.com", 400),
    ] {
        let lines = if lines.is_empty() { String::new() } else { format!("{lines}\r\n") };
        let answer = rig.raw(&format!("GET /public HTTP/1.1\r\n{lines}Connection: close\r\n\r\n"));
        assert_eq!(answer.status, status, "{lines}");
    }
    assert_eq!(rig.origin.take().len(), 2);
}

#[test]
fn p53_p54_sessions() {
    let rig = Rig::new();
    let with = |path: &str, cookie: &str| {
        rig.request(&format!("GET {path}"), &format!("Sec-Fetch-Mode: cors\r\nCookie: {cookie}\r\n")).status
    };
    assert_eq!(with("/", &rig.cookie), 200);
    assert_eq!(with("/legal", &rig.cookie), 403);
    assert_eq!(rig.origin.take().len(), 1);
    for cookie in [&rig.foreign_cookie, &rig.unknown_cookie, &format!("{0}; {0}", rig.cookie), "x=y"] {
        assert_eq!(with("/", cookie), 401, "{cookie}");
    }
    // What cannot be looked up is not let through.
    assert_eq!(with("/", &rig.store_down_cookie), 503);
    assert_eq!(with("/public", &rig.store_down_cookie), 200);
    assert_eq!(rig.origin.take().len(), 1);
}
