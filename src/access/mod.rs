//! Who may reach what, pure: a canonical path, a table of routes, and one decision.
use crate::domain::{ActiveSession, Caller, EnterpriseSlug, GroupName, OrganizationSlug, Timestamp};

mod host;
mod path;
mod routes;

pub use host::{HostFault, canonical_host};
pub use path::{CanonicalPath, PathFault, canonical_path};
pub use routes::{Found, RouteFault, Routes, covers};

/// One route: where requests under a host and path prefix go, and who may send them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The operator's name for it, in logs and metrics.
    pub name: String,
    /// Host with port as browsers send it, lower case: `app.example.com` or `localhost:8080`.
    pub host: String,
    /// Canonical prefix that ends at a segment boundary: `/` or `/reports`.
    pub path_prefix: String,
    /// The origin server: `http://host:port`.
    pub origin: Origin,
    pub rule: Rule,
}

/// An origin server that is spoken to in HTTP/1.1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    pub host: String,
    pub port: u16,
}

/// Who may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Anyone, without identity.
    Public,
    /// A session of one of the enterprises that meets every demand that is not empty.
    Protected {
        /// At least one; with several, a person chooses by e-mail address.
        enterprises: Vec<EnterpriseSlug>,
        /// Membership in at least one of these.
        organizations: Vec<OrganizationSlug>,
        /// At least one of these groups in the assertion of the session.
        groups: Vec<GroupName>,
        step_up: StepUp,
        /// Whether programs may pass by a personal access token. Groups and step-up are stated by sign-ins, so that a route
        /// that demands one takes no token in any case.
        tokens: bool,
    },
}

/// What a route demands of the sign-in behind a session. A session that lacks it is asked for a new sign-in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepUp {
    /// The session's AuthnContextClassRef is one of these; empty for no demand.
    pub contexts: Vec<String>,
    /// The sign-in at the IdP is younger than this.
    pub age_seconds_max: Option<u32>,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Send it on; `true` if the session's identity goes with it.
    Forward {
        identified: bool,
    },
    SignIn,
    /// Sign in again, in a way that meets the route's [`StepUp`]; `force` if the sign-in is too old, so that the IdP's own
    /// session does not serve.
    StepUp {
        force: bool,
    },
    Forbid,
}

/// Judges a request by its route's rule. A public route never carries identity, even where there is a session: its
/// responses may be cached for everyone. A token is never told to sign in or to step up: for it, [`Decision::SignIn`] says that
/// it is of another enterprise or has run out.
pub fn decide(rule: &Rule, caller: Option<&Caller>, now: Timestamp) -> Decision {
    let Rule::Protected { enterprises, organizations, groups, step_up, tokens } = rule else {
        return Decision::Forward { identified: false };
    };
    // P-54: a session of another enterprise is no session here.
    let Some(caller) =
        caller.filter(|caller| caller.is_live(now) && enterprises.contains(caller.enterprise()))
    else {
        return Decision::SignIn;
    };
    if !organizations.is_empty() && !organizations.iter().any(|slug| caller.is_member(slug)) {
        return Decision::Forbid;
    }
    if !groups.is_empty() && !groups.iter().any(|group| caller.groups().contains(group)) {
        return Decision::Forbid;
    }
    // After the demands that no other sign-in mends: nobody proves more only to be turned away.
    match caller {
        Caller::Session(active) => step_up.decide(active, now),
        // A token whose every authorisation was withdrawn names nobody's organization, and passes nowhere.
        Caller::Token(active)
            if *tokens && *step_up == StepUp::default() && !active.memberships.is_empty() =>
        {
            Decision::Forward { identified: true }
        }
        Caller::Token(_) => Decision::Forbid,
    }
}

impl StepUp {
    fn decide(&self, active: &ActiveSession, now: Timestamp) -> Decision {
        let aged = self.age_seconds_max.is_some_and(|most| age_seconds(active, now) >= i64::from(most));
        let context = active.session.authn_context.as_ref();
        let proven = self.contexts.is_empty() || context.is_some_and(|c| self.contexts.contains(c));
        if aged || !proven {
            Decision::StepUp { force: aged }
        } else {
            Decision::Forward { identified: true }
        }
    }
}

/// Since the person proved who they are.
fn age_seconds(active: &ActiveSession, now: Timestamp) -> i64 {
    now.as_second().saturating_sub(active.session.authn_instant.as_second())
}

/// What tells a person's navigation from a script's request.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestFacts<'a> {
    pub method: &'a str,
    pub sec_fetch_mode: Option<&'a str>,
    pub x_requested_with: Option<&'a str>,
    pub accept: Option<&'a str>,
}

/// Whether a request may be redirected to sign in (P-25). Everything else gets 401 and opens no pending sign-in.
pub fn is_navigation(facts: &RequestFacts<'_>) -> bool {
    let fetched = facts.sec_fetch_mode.is_some_and(|mode| mode != "navigate");
    let scripted = facts.x_requested_with.is_some();
    let accept = facts.accept.unwrap_or_default();
    let wants_json = names(accept, "json") && !names(accept, "text/html");
    matches!(facts.method, "GET" | "HEAD") && !fetched && !scripted && !wants_json
}

/// Whether an answer that says why something failed is read by a person: to a navigation, or to a form that a browser posted,
/// which says with Accept that it shows HTML. Whatever else asks gets JSON.
pub fn wants_page(facts: &RequestFacts<'_>) -> bool {
    let fetched = facts.sec_fetch_mode.is_some_and(|mode| mode != "navigate");
    let scripted = facts.x_requested_with.is_some();
    let shows_html = names(facts.accept.unwrap_or_default(), "text/html");
    is_navigation(facts) || (!fetched && !scripted && shows_html)
}

/// Whether a field value contains a word, in any case.
fn names(value: &str, word: &str) -> bool {
    value.as_bytes().windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{
        AccessToken, ActiveToken, EnterpriseId, Membership, MembershipSource, NameId, PersonId, Profile,
        Role, Scope, Session, SessionId, TokenId,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn active(enterprise: &str, organizations: &[&str], groups: &[&str]) -> ActiveSession {
        let slug = EnterpriseSlug::parse(enterprise).unwrap();
        let enterprise_id = EnterpriseId::of(&slug);
        let membership = |organization: &&str| {
            let slug = OrganizationSlug::parse(organization).unwrap();
            Membership::new(slug, Role::Member, MembershipSource::Saml, at(0))
        };
        ActiveSession {
            session: Session {
                id: SessionId::from_bytes([1; 32]),
                enterprise_id,
                enterprise: slug,
                person: PersonId::of(enterprise_id, "idp", "alice"),
                name_id: NameId { value: "alice".into(), format: "f".into(), ..NameId::default() },
                session_index: None,
                authn_instant: at(0),
                authn_context: Some("urn:mfa".into()),
                profile: Profile::default(),
                groups: groups.iter().map(|g| (*g).to_owned()).collect(),
                created_at: at(0),
                last_seen_at: at(100),
                expires_at: at(1000),
                idle_seconds_max: 500,
            },
            memberships: organizations.iter().map(membership).collect(),
        }
    }

    fn caller(active: &ActiveSession) -> Caller {
        Caller::Session(Arc::new(active.clone()))
    }

    fn rule(organizations: &[&str], groups: &[&str]) -> Rule {
        Rule::Protected {
            enterprises: vec![EnterpriseSlug::parse("acme").unwrap()],
            organizations: organizations.iter().map(|o| OrganizationSlug::parse(o).unwrap()).collect(),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            step_up: StepUp::default(),
            tokens: true,
        }
    }

    #[test]
    fn decisions() {
        const YES: Decision = Decision::Forward { identified: true };
        let alice = caller(&active("acme", &["sales", "legal"], &["Staff"]));
        let decide_at = |rule: &Rule, session: Option<&Caller>, second| decide(rule, session, at(second));
        for (rule, expected) in [
            (rule(&[], &[]), YES),
            (rule(&["sales"], &[]), YES),
            (rule(&["other", "legal"], &[]), YES),
            (rule(&["other"], &[]), Decision::Forbid),
            (rule(&[], &["Staff"]), YES),
            (rule(&[], &["staff"]), Decision::Forbid),
            (rule(&["sales"], &["Other", "Staff"]), YES),
            (rule(&["sales"], &["Other"]), Decision::Forbid),
            (rule(&["other"], &["Staff"]), Decision::Forbid),
            (Rule::Public, Decision::Forward { identified: false }),
        ] {
            assert_eq!(decide_at(&rule, Some(&alice), 200), expected, "{rule:?}");
        }
        assert_eq!(decide_at(&rule(&[], &[]), None, 200), Decision::SignIn);
        assert_eq!(decide_at(&Rule::Public, None, 200), Decision::Forward { identified: false });
        assert_eq!(decide_at(&rule(&[], &[]), Some(&alice), 599), YES);
        assert_eq!(decide_at(&rule(&[], &[]), Some(&alice), 600), Decision::SignIn);
    }

    #[test]
    fn p54_a_session_of_another_enterprise_is_none() {
        let foreign = caller(&active("globex", &["sales"], &["Staff"]));
        assert_eq!(decide(&rule(&["sales"], &["Staff"]), Some(&foreign), at(200)), Decision::SignIn);
    }

    #[test]
    fn p54_a_route_of_several_enterprises_takes_their_sessions_and_no_others() {
        let slug = |name: &str| EnterpriseSlug::parse(name).unwrap();
        let mut rule = rule(&["sales"], &[]);
        let Rule::Protected { enterprises, .. } = &mut rule else { unreachable!() };
        enterprises.push(slug("globex"));
        for (enterprise, expected) in [
            ("acme", Decision::Forward { identified: true }),
            ("globex", Decision::Forward { identified: true }),
            ("initech", Decision::SignIn),
        ] {
            assert_eq!(decide(&rule, Some(&caller(&active(enterprise, &["sales"], &[]))), at(200)), expected);
        }
    }

    #[test]
    fn s_99_a_route_may_demand_how_and_when_a_person_signed_in() {
        const YES: Decision = Decision::Forward { identified: true };
        let alice = active("acme", &[], &[]);
        let decide_with = |contexts: &[&str], age_seconds_max, second| {
            let mut rule = rule(&[], &[]);
            let Rule::Protected { step_up, .. } = &mut rule else { unreachable!() };
            *step_up =
                StepUp { contexts: contexts.iter().map(|c| (*c).to_owned()).collect(), age_seconds_max };
            decide(&rule, Some(&caller(&alice)), at(second))
        };
        for (contexts, age, second, expected) in [
            (&["urn:mfa"][..], None, 200, YES),
            (&["urn:other", "urn:mfa"], None, 200, YES),
            (&["urn:other"], None, 200, Decision::StepUp { force: false }),
            (&["urn:MFA"], None, 200, Decision::StepUp { force: false }),
            (&[], Some(300), 299, YES),
            (&[], Some(300), 300, Decision::StepUp { force: true }),
            (&["urn:other"], Some(300), 300, Decision::StepUp { force: true }),
        ] {
            assert_eq!(decide_with(contexts, age, second), expected, "{contexts:?} {age:?} {second}");
        }
        let mut unknown = alice.clone();
        unknown.session.authn_context = None;
        let mut rule = rule(&["sales"], &[]);
        let Rule::Protected { step_up, .. } = &mut rule else { unreachable!() };
        step_up.contexts.push("urn:mfa".into());
        // Who is no member would be no member after another sign-in.
        assert_eq!(decide(&rule, Some(&caller(&unknown)), at(200)), Decision::Forbid);
        unknown.memberships = active("acme", &["sales"], &[]).memberships;
        assert_eq!(decide(&rule, Some(&caller(&unknown)), at(200)), Decision::StepUp { force: false });
    }

    #[test]
    fn a_token_opens_what_its_organizations_open_and_nothing_that_takes_a_sign_in() {
        const YES: Decision = Decision::Forward { identified: true };
        let token = |enterprise: &str, organizations: &[&str]| {
            let ActiveSession { session, memberships } = active(enterprise, organizations, &["Staff"]);
            let token = AccessToken {
                id: TokenId::from_bytes([1; 16]),
                secret: [1; 32],
                name: "ci".into(),
                organizations: memberships.iter().map(|m| m.organization.clone()).collect(),
                scopes: vec![Scope::Proxy],
                last_eight: String::new(),
                created_at: at(0),
                expires_at: at(1000),
            };
            let (enterprise, enterprise_id) = (session.enterprise, session.enterprise_id);
            let (person, profile) = (session.person, session.profile);
            Caller::Token(Arc::new(ActiveToken {
                token,
                enterprise,
                enterprise_id,
                person,
                profile,
                memberships,
            }))
        };
        let sales = token("acme", &["sales"]);
        let mut refusing = rule(&["sales"], &[]);
        let Rule::Protected { tokens, .. } = &mut refusing else { unreachable!() };
        *tokens = false;
        let mut fresh = rule(&["sales"], &[]);
        let Rule::Protected { step_up, .. } = &mut fresh else { unreachable!() };
        step_up.age_seconds_max = Some(10_000);
        for (rule, caller, second, expected) in [
            (&rule(&[], &[]), &sales, 999, YES),
            (&rule(&["sales"], &[]), &sales, 200, YES),
            (&rule(&["legal"], &[]), &sales, 200, Decision::Forbid),
            (&rule(&[], &["Staff"]), &sales, 200, Decision::Forbid),
            (&refusing, &sales, 200, Decision::Forbid),
            (&fresh, &sales, 200, Decision::Forbid),
            (&rule(&[], &[]), &token("acme", &[]), 200, Decision::Forbid),
            (&rule(&[], &[]), &sales, 1000, Decision::SignIn),
            (&rule(&[], &[]), &token("globex", &["sales"]), 200, Decision::SignIn),
            (&Rule::Public, &sales, 200, Decision::Forward { identified: false }),
        ] {
            assert_eq!(decide(rule, Some(caller), at(second)), expected, "{rule:?} {second}");
        }
    }

    #[test]
    fn p25_only_navigations_are_redirected() {
        let get = RequestFacts { method: "GET", ..RequestFacts::default() };
        let browser = "text/html,application/xhtml+xml,application/json;q=0.1,*/*;q=0.8";
        for (facts, expected) in [
            (get, true),
            (RequestFacts { method: "HEAD", ..get }, true),
            (RequestFacts { sec_fetch_mode: Some("navigate"), accept: Some(browser), ..get }, true),
            (RequestFacts { accept: Some("*/*"), ..get }, true),
            (RequestFacts { method: "POST", ..get }, false),
            (RequestFacts { method: "OPTIONS", ..get }, false),
            (RequestFacts { method: "get", ..get }, false),
            (RequestFacts { sec_fetch_mode: Some("cors"), ..get }, false),
            (RequestFacts { sec_fetch_mode: Some("no-cors"), ..get }, false),
            (RequestFacts { x_requested_with: Some("XMLHttpRequest"), ..get }, false),
            (RequestFacts { accept: Some("application/json"), ..get }, false),
            (RequestFacts { accept: Some("Application/Problem+JSON, */*"), ..get }, false),
        ] {
            assert_eq!(is_navigation(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_form_that_a_person_posts_is_answered_by_a_page() {
        let post = RequestFacts { method: "POST", ..RequestFacts::default() };
        let html = Some("text/html,*/*;q=0.8");
        for (facts, expected) in [
            (post, false),
            (RequestFacts { accept: html, ..post }, true),
            (RequestFacts { accept: Some("*/*"), ..post }, false),
            (RequestFacts { sec_fetch_mode: Some("navigate"), ..post }, false),
            (RequestFacts { sec_fetch_mode: Some("navigate"), accept: html, ..post }, true),
            (
                RequestFacts { sec_fetch_mode: Some("navigate"), accept: Some("application/json"), ..post },
                false,
            ),
            (RequestFacts { sec_fetch_mode: Some("cors"), accept: html, ..post }, false),
            (RequestFacts { x_requested_with: Some("XMLHttpRequest"), accept: html, ..post }, false),
            (RequestFacts { method: "GET", ..post }, true),
            (RequestFacts { method: "GET", sec_fetch_mode: Some("cors"), ..post }, false),
        ] {
            assert_eq!(wants_page(&facts), expected, "{facts:?}");
        }
    }
}
