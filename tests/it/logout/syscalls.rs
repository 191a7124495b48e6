//! What the program asks of the system while it takes logout messages, seen by strace: no file is opened, no connection made.
use portcullis::{
    domain::{LogoutHandle, RequestId, Timestamp},
    edge::cookies,
};

use super::{
    fixtures::{Case, SLO, cases},
    table,
};
use crate::{
    attacks::{
        program::Program,
        syscalls::{FORBIDDEN, TRACED, between, calls},
        world::make_for,
    },
    saml::forge,
    support::process::eventually,
};

/// Signs out as far as the IdP: the handle that the browser has now.
fn leave(program: &mut Program, assertion: &str) -> String {
    program.cookie = program.sign_in(assertion);
    let (answer, _) = program.send("POST /saml/logout", "Sec-Fetch-Site: same-origin\r\n", "");
    program.cookie.clear();
    assert_eq!(answer.status, 303, "{}", answer.body);
    let set = answer.values("set-cookie").join("; ");
    let name = format!("{}=", cookies::SIGN_OUT);
    let handle = set.split("; ").find_map(|pair| pair.strip_prefix(&name)).expect("a handle");
    handle.to_owned()
}

/// The cases, for this program, the outstanding request and now. `id` is that of every message.
fn made(program: &Program, handle: &str, id: &str) -> Vec<Case> {
    let request = RequestId::of_logout(LogoutHandle::parse(handle).expect("a handle"));
    let now = Timestamp::now().as_second();
    let at = |seconds: i64| Timestamp::from_second(now + seconds).expect("a time").to_string();
    let pairs = vec![
        (SLO.into(), format!("{}/saml/slo", program.url())),
        (forge::REQUEST.into(), format!("_{request}")),
        ("_logout".into(), id.into()),
        ("2026-01-15T11:59:58Z".into(), at(-2)),
        ("2026-01-15T11:58:00Z".into(), at(-120)),
        ("2026-01-15T11:00:00Z".into(), at(-3600)),
        ("2026-01-15T13:00:00Z".into(), at(3600)),
    ];
    let mut made = make_for(pairs, cases);
    made.retain(|case| !table::is_of_another_connection(case));
    made
}

fn send(program: &Program, handle: &str, case: &Case) -> u16 {
    let (method, path, fields, body) = table::request(case, handle);
    let body = String::from_utf8(body).expect("text");
    program.send(&format!("{method} {path}"), &fields, &body).0.status
}

#[test]
fn l_01_l_02_l_03_s_35_and_s_60_nothing_is_opened_for_a_logout() {
    let folder = tempfile::tempdir().unwrap();
    let root = env!("CARGO_MANIFEST_DIR");
    let mut program = Program::start_traced(
        &[
            ("PORTCULLIS_STORE_PATH", folder.path().join("store.redb").display().to_string()),
            (
                "PORTCULLIS_ENTERPRISE_EXAMPLE_SAML_SIGNING_KEYS",
                format!("{root}/certs/development-sp-signing.pem"),
            ),
            ("PORTCULLIS_ENTERPRISE_EXAMPLE_SAML_SLO_URL", "https://idp.example.com/slo".into()),
            ("PORTCULLIS_ENTERPRISE_EXAMPLE_SAML_SLO_BINDING", "redirect".into()),
        ],
        TRACED,
    );
    // Once of each, for what is loaded at its first use.
    let handle = leave(&mut program, "_warm_up");
    for case in made(&program, &handle, "_message_warm_up") {
        send(&program, &handle, &case);
    }

    let handle = leave(&mut program, "_then");
    let cases = made(&program, &handle, "_message_then");
    let (_, mark) = program.send("GET /saml/nothing", "", "");
    let (mut refused, mut accepted) = (0, 0);
    for case in cases.iter().filter(|case| case.owed.is_some()) {
        let status = send(&program, &handle, case);
        assert!([400, 403].contains(&status), "{}: {status}", case.name);
        refused += 1;
    }
    for (index, name) in ["post", "redirect", "soap", "response"].into_iter().enumerate() {
        // Each is a request of its own.
        let cases = made(&program, &handle, &format!("_message_{index}"));
        let case = cases.iter().find(|case| case.owed.is_none() && case.name == name).expect("a case");
        let status = send(&program, &handle, case);
        assert!([200, 303].contains(&status), "{name}: {status}");
        accepted += 1;
    }
    // The control: this one does connect, to the origin server.
    program.cookie = program.sign_in("_after");
    let (answer, end) = program.send("GET /", "", "");
    assert_eq!(answer.status, 200, "{}", answer.head);
    let origin = format!("htons({})", program.origin.address.port());
    assert!(
        eventually(|| program.trace().contains(&origin)),
        "strace saw no connection to the origin server"
    );
    let trace = program.end();
    let meanwhile = between(&trace, mark, end);
    let accepts = meanwhile.iter().filter(|line| line.contains("htons(")).count();
    assert!(refused > 40 && accepts >= refused + accepted, "{accepts} connections for {refused} messages");
    let forbidden = calls(&meanwhile, FORBIDDEN);
    assert!(forbidden.is_empty(), "while logout messages were taken:\n{}", forbidden.join("\n"));
}
