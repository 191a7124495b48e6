//! The walk of `demo --check`: what a newcomer would click, with a check after every click.
//!
//! What it claims about a person it reads from what the origin server received; who owns an organization it asks the
//! gateway's directory.
use std::io::{self, Write};

use http::StatusCode;
use serde_json::Value;

use super::{
    RunningGateway, Stage,
    browser::{Browser, BrowserError, Form, Page},
    origin::list,
};
use crate::domain::{Organization, OrganizationSlug};

const OCTO_ORG: &str = "octo-org";
/// Any page but the first, to see that people come back to where they wanted to go.
const WANTED_PATH: &str = "/reports/today?view=short";

/// Takes the walk, writes a line for each step, and stops at the first step that fails. Answers whether all went well;
/// the error is that of writing.
pub async fn walk<G: RunningGateway>(stage: &Stage, gateway: &G, out: &mut impl Write) -> io::Result<bool> {
    let mut walk = Walk { stage, gateway, alice: Browser::new(), captured: None };
    for step in STEPS {
        match walk.take(*step).await {
            Ok(happened) => writeln!(out, "ok    {}: {happened}", step.name())?,
            Err(fault) => {
                writeln!(out, "FAIL  {}: {fault}", step.name())?;
                return Ok(false);
            }
        }
        out.flush()?;
    }
    writeln!(out, "All {} steps went well.", STEPS.len())?;
    Ok(true)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Stranger,
    SignIn,
    Owner,
    Replay,
    Join,
    Leave,
    Unowned,
    Member,
    SpoofedIdentity,
}

const STEPS: &[Step] = &[
    Step::Stranger,
    Step::SignIn,
    Step::Owner,
    Step::Replay,
    Step::Join,
    Step::Leave,
    Step::Unowned,
    Step::Member,
    Step::SpoofedIdentity,
];

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Stranger => "a stranger is not let through",
            Self::SignIn => "Alice signs in",
            Self::Owner => "Alice owns octo-org",
            Self::Replay => "the same response again is refused",
            Self::Join => "Alice joins hubot-lab",
            Self::Leave => "Alice leaves octo-org",
            Self::Unowned => "the last owner left",
            Self::Member => "Bob joins as a member",
            Self::SpoofedIdentity => "nobody picks an identity",
        }
    }
}

/// Why a step failed, for people to read.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Browser(#[from] BrowserError),
    #[error("the directory does not answer: {0}")]
    Directory(String),
    #[error("{0}")]
    Wrong(String),
}

struct Walk<'a, G> {
    stage: &'a Stage,
    gateway: &'a G,
    alice: Browser,
    /// Alice's browser just before it posted the response, and the form that it posted.
    captured: Option<(Browser, Form)>,
}

impl<G: RunningGateway> Walk<'_, G> {
    async fn take(&mut self, step: Step) -> Result<String, Fault> {
        match step {
            Step::Stranger => self.stranger().await,
            Step::SignIn => self.sign_in().await,
            Step::Owner => self.owner().await,
            Step::Replay => self.replay().await,
            Step::Join => self.join().await,
            Step::Leave => self.leave().await,
            Step::Unowned => self.unowned().await,
            Step::Member => self.member().await,
            Step::SpoofedIdentity => self.spoofed_identity().await,
        }
    }

    async fn stranger(&mut self) -> Result<String, Fault> {
        let page = Browser::new().open(&self.url(WANTED_PATH)).await?;
        expect(page.url.starts_with(&self.stage.idp_url), || {
            format!("no sign-in was asked: {}", told(&page))
        })?;
        let fetched = Browser::new().fetch_json(&self.url("/")).await?;
        expect(fetched.status == StatusCode::UNAUTHORIZED, || {
            format!("a script without a session got {}, not 401", fetched.status)
        })?;
        Ok("a page load is sent to the identity provider, a script gets 401".into())
    }

    async fn sign_in(&mut self) -> Result<String, Fault> {
        let people = self.alice.open(&self.url(WANTED_PATH)).await?;
        let posting = self.alice.press(&people, "Sign in as Alice").await?;
        let form = posting.button("Continue")?;
        self.captured = Some((self.alice.clone(), form.clone()));
        let page = self.alice.submit(&form).await?;
        expect(page.status == StatusCode::OK, || format!("no page after the sign-in: {}", told(&page)))?;
        expect(page.url == self.url(WANTED_PATH), || format!("came back to {}", page.url))?;
        let seen = self.seen(&mut self.alice.clone()).await?;
        seen.is("alice@example.com", &[OCTO_ORG])?;
        Ok(format!("back at {WANTED_PATH}, joined octo-org; the group \"everyone\" is no organization"))
    }

    async fn owner(&mut self) -> Result<String, Fault> {
        let organization = self.organization(OCTO_ORG).await?;
        expect(organization.owners.len() == 1 && organization.unowned_since.is_none(), || {
            format!("octo-org has {} owners", organization.owners.len())
        })?;
        Ok("by the mapping of the group octo-org-owners".into())
    }

    /// The strongest replay: the very bytes, from the very browser, with the cookies that it had then.
    async fn replay(&mut self) -> Result<String, Fault> {
        let Some((mut browser, form)) = self.captured.clone() else {
            return Err(Fault::Wrong("no response was captured".into()));
        };
        let page = browser.submit(&form).await?;
        let refused = matches!(page.status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN);
        expect(refused, || format!("it was not refused: {}", told(&page)))?;
        let fetched = browser.fetch_json(&self.url("/")).await?;
        expect(fetched.status == StatusCode::UNAUTHORIZED, || {
            format!("it opened a session: {}", fetched.status)
        })?;
        Ok(format!("{}, and no session", page.status))
    }

    async fn join(&mut self) -> Result<String, Fault> {
        self.change_groups("Alice", "octo-org\nocto-org-owners\nhubot-lab").await?;
        let before = self.seen(&mut self.alice.clone()).await?;
        before.is("alice@example.com", &[OCTO_ORG])?;
        self.alice = self.again(self.alice.clone(), "Alice").await?;
        self.seen(&mut self.alice.clone()).await?.is("alice@example.com", &["hubot-lab", OCTO_ORG])?;
        Ok("given the group at the identity provider, and signed in again".into())
    }

    async fn leave(&mut self) -> Result<String, Fault> {
        self.change_groups("Alice", "hubot-lab").await?;
        self.alice = self.again(self.alice.clone(), "Alice").await?;
        self.seen(&mut self.alice.clone()).await?.is("alice@example.com", &["hubot-lab"])?;
        Ok("taken from the group, signed in again, still in hubot-lab".into())
    }

    async fn unowned(&mut self) -> Result<String, Fault> {
        self.expect_unowned().await?;
        Ok("octo-org is flagged as unowned".into())
    }

    async fn member(&mut self) -> Result<String, Fault> {
        let mut bob = self.again(Browser::new(), "Bob").await?;
        self.seen(&mut bob).await?.is("bob@example.com", &["hubot-lab", OCTO_ORG])?;
        self.expect_unowned().await?;
        Ok("of octo-org and hubot-lab; a member is no owner, octo-org stays unowned".into())
    }

    /// A gateway may refuse such fields or strip them; it may not pass them on.
    async fn spoofed_identity(&mut self) -> Result<String, Fault> {
        let spoof = |browser: &mut Browser| {
            browser.send_along("x-forwarded-user", "alice@example.com");
            browser.send_along("x-forwarded-organizations", "docs-team");
        };
        let refused = |page: &Page| page.status == StatusCode::BAD_REQUEST;
        let mut mallory = Browser::new();
        spoof(&mut mallory);
        let fetched = mallory.fetch_json(&self.url("/")).await?;
        expect(refused(&fetched) || fetched.status == StatusCode::UNAUTHORIZED, || {
            format!("without a session they got {}", fetched.status)
        })?;
        let mut bob = self.again(Browser::new(), "Bob").await?;
        spoof(&mut bob);
        if refused(&bob.fetch_json(&self.url("/")).await?) {
            return Ok("a request that brings identity fields of its own is refused".into());
        }
        self.seen(&mut bob).await?.is("bob@example.com", &["hubot-lab", OCTO_ORG])?;
        Ok("identity fields that a browser sends are stripped".into())
    }

    /// Signs in anew, session or not.
    async fn again(&self, mut browser: Browser, name: &str) -> Result<Browser, Fault> {
        let people = browser.open(&self.url("/saml/login?return_to=/")).await?;
        let posting = browser.press(&people, &format!("Sign in as {name}")).await?;
        let page = browser.press(&posting, "Continue").await?;
        expect(page.status == StatusCode::OK && page.url == self.url("/"), || {
            format!("{name}'s sign-in ended in {}", told(&page))
        })?;
        Ok(browser)
    }

    /// Edits groups on the IdP's page, as a person would.
    async fn change_groups(&self, name: &str, groups: &str) -> Result<(), Fault> {
        let mut browser = Browser::new();
        let people = browser.open(&self.stage.idp_url).await?;
        let mut form = people.button(&format!("Save groups of {name}"))?;
        form.set("groups", groups);
        let page = browser.submit(&form).await?;
        expect(page.status == StatusCode::OK, || format!("groups were not saved: {}", told(&page)))
    }

    /// What the origin server receives about the person of this browser.
    async fn seen(&self, browser: &mut Browser) -> Result<Seen, Fault> {
        let page = browser.fetch_json(&self.url("/seen")).await?;
        let answer: Value = serde_json::from_str(&page.body)
            .map_err(|_| Fault::Wrong(format!("not the origin server's answer: {}", told(&page))))?;
        let field = |name: &str| match &answer["fields"][name] {
            Value::Null => Ok(String::new()),
            Value::String(text) => Ok(text.clone()),
            other => Err(Fault::Wrong(format!("{name} reached the origin server as {other}"))),
        };
        let organizations = field("x-forwarded-organizations")?;
        let mut organizations: Vec<_> = list(&organizations).into_iter().map(String::from).collect();
        organizations.sort();
        Ok(Seen { user: field("x-forwarded-user")?, organizations })
    }

    async fn expect_unowned(&self) -> Result<(), Fault> {
        let organization = self.organization(OCTO_ORG).await?;
        expect(organization.owners.is_empty(), || {
            format!("octo-org has {} owners", organization.owners.len())
        })?;
        expect(organization.unowned_since.is_some(), || "octo-org is not flagged as unowned".into())
    }

    async fn organization(&self, slug: &str) -> Result<Organization, Fault> {
        let slug = OrganizationSlug::parse(slug).map_err(|error| Fault::Directory(error.to_string()))?;
        self.gateway.organization(&slug).await.map_err(Fault::Directory)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.stage.gateway_url)
    }
}

/// A person as the origin server sees them.
#[derive(Debug)]
struct Seen {
    user: String,
    organizations: Vec<String>,
}

impl Seen {
    fn is(&self, user: &str, organizations: &[&str]) -> Result<(), Fault> {
        expect(self.user == user && self.organizations == organizations, || {
            let (had, wanted) = (self.organizations.join(", "), organizations.join(", "));
            format!("the origin server saw {:?} in [{had}], not {user:?} in [{wanted}]", self.user)
        })
    }
}

fn expect(holds: bool, fault: impl FnOnce() -> String) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault::Wrong(fault())) }
}

/// A page in a few words.
fn told(page: &Page) -> String {
    let path = page.url.split('?').next().unwrap_or_default();
    format!("{} from {path}", page.status)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            DemoOptions,
            fake_gateway::{FakeGateway, Flaw},
            run,
        },
        *,
    };

    async fn check(flaw: Option<Flaw>) -> (bool, String) {
        let folder = tempfile::tempdir().unwrap();
        let options =
            DemoOptions { check: true, folder: Some(folder.path().into()), ..DemoOptions::default() };
        let mut out = Vec::new();
        let start = async |stage: &Stage| FakeGateway::start(stage, flaw).await;
        let went_well = run(options, &mut out, start).await.unwrap();
        (went_well, String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn a_good_gateway_passes_every_step() {
        let (went_well, out) = check(None).await;
        assert!(went_well, "{out}");
        assert_eq!(out.matches("ok    ").count(), STEPS.len(), "{out}");
    }

    #[tokio::test]
    async fn every_flaw_is_found_by_its_step() {
        for (flaw, step) in [
            (Flaw::LetsStrangersIn, Step::Stranger),
            (Flaw::TakesEveryGroup, Step::SignIn),
            (Flaw::ForgetsOwners, Step::Owner),
            (Flaw::AcceptsReplays, Step::Replay),
            (Flaw::NeverAdds, Step::Join),
            (Flaw::NeverRemoves, Step::Leave),
            (Flaw::NeverFlags, Step::Unowned),
            (Flaw::MakesEveryoneOwner, Step::Member),
            (Flaw::TrustsFields, Step::SpoofedIdentity),
        ] {
            let (went_well, out) = check(Some(flaw)).await;
            assert!(!went_well, "{flaw:?}");
            let last = out.lines().last().unwrap();
            assert!(last.starts_with(&format!("FAIL  {}", step.name())), "{flaw:?}: {last}");
        }
    }
}
