//! What is measured: sign-ins and an owner's removal, over HTTP, one after the other on one connection.
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use portcullis::{
    demo::browser::Browser,
    domain::{EnterpriseId, EnterpriseSlug, PersonId},
    idp::{self, Person},
};

use super::{
    common::median,
    seed,
    world::{Counts, IdpPlace, Spent, World},
};

/// People who sign in. They all stand on the IdP's page, and each does every act once a round.
pub const SIGNING_IN: usize = 24;
/// Sign-ins that are prepared at once.
const PREPARING: usize = 8;
const SIGN_IN_COOKIE: &str = "__Host-portcullis-signin";
const SESSION_COOKIE: &str = "__Host-portcullis-session";

/// In the order in which a person does them.
pub const ACTS: [Act; 4] = [Act::Unchanged, Act::Join, Act::Removal, Act::OwnersRemoval];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Unchanged,
    Join,
    Removal,
    OwnersRemoval,
}

impl Act {
    pub fn name(self) -> &'static str {
        match self {
            Self::Unchanged => "sign-in that changes nothing",
            Self::Join => "sign-in that joins three organizations",
            Self::Removal => "sign-in that leaves one organization",
            Self::OwnersRemoval => "removal by an owner",
        }
    }

    /// The teams that the IdP says in it.
    fn teams(self) -> &'static [usize] {
        match self {
            Self::Unchanged => &[0],
            Self::Join => &[0, 1, 2, 3],
            Self::Removal | Self::OwnersRemoval => &[0, 1, 2],
        }
    }

    /// Membership changes of one.
    fn changes(self) -> f64 {
        match self {
            Self::Unchanged => 0.0,
            Self::Join => 3.0,
            Self::Removal | Self::OwnersRemoval => 1.0,
        }
    }
}

/// One act in one world, on average over the people: CPU and wall clock in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    pub round_trips: f64,
    pub gateway_micros: f64,
    pub redis_micros: f64,
    pub wall_micros: f64,
}

/// The IdP of all worlds.
pub fn idp_settings() -> idp::Settings {
    let person = |n: usize| Person {
        id: format!("p{n}"),
        display_name: format!("Person {n}"),
        email: seed::email(n),
        groups: seed::groups(&[0]),
    };
    let mut settings = idp::Settings::development(SocketAddr::from(([127, 0, 0, 1], 0)));
    settings.people.extend((0..SIGNING_IN).map(person));
    settings
}

/// Every act by everybody in every world; answers the cells by act and world.
pub async fn round(worlds: &[World], idp: &idp::Directory, place: &IdpPlace) -> Vec<Vec<Cell>> {
    let mut cells = vec![];
    for act in ACTS {
        cells.push(measured(act, worlds, idp, place).await);
    }
    // Back to where the next round begins.
    say(idp, Act::Unchanged.teams());
    for world in worlds {
        let requests = sign_ins(world.gateway().public).await;
        send_all(world.gateway().public, &requests);
    }
    cells
}

async fn measured(act: Act, worlds: &[World], idp: &idp::Directory, place: &IdpPlace) -> Vec<Cell> {
    say(idp, act.teams());
    let mut cells = vec![];
    for world in worlds {
        let requests = match act {
            Act::OwnersRemoval => removals(world.gateway().public, place).await,
            _ => sign_ins(world.gateway().public).await,
        };
        let (counted, spent) = (world.counts(), world.spent());
        let walls = send_all(world.gateway().public, &requests);
        let (spent, counted) = (since(spent, world.spent()), counted_since(counted, world.counts()));
        let count = requests.len() as f64;
        let sessions = if act == Act::OwnersRemoval { 0.0 } else { count };
        let expected = (act.changes() * count, sessions);
        assert_eq!((counted.changes, counted.sessions), expected, "{} at {}", act.name(), world.people);
        cells.push(Cell {
            round_trips: counted.round_trips / count,
            gateway_micros: spent.gateway / count / 1e3,
            redis_micros: spent.redis / count / 1e3,
            wall_micros: median(walls),
        });
    }
    cells
}

fn since(before: Spent, after: Spent) -> Spent {
    Spent { gateway: after.gateway - before.gateway, redis: after.redis - before.redis }
}

fn counted_since(before: Counts, after: Counts) -> Counts {
    Counts {
        round_trips: after.round_trips - before.round_trips,
        changes: after.changes - before.changes,
        sessions: after.sessions - before.sessions,
    }
}

/// What the IdP says of everybody's groups from now on.
fn say(idp: &idp::Directory, teams: &[usize]) {
    let groups = seed::groups(teams);
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    for n in 0..SIGNING_IN {
        idp.set_groups(&format!("p{n}"), &groups).expect("a person of the IdP");
    }
}

/// A request of each person that posts a response to the ACS.
async fn sign_ins(public: SocketAddr) -> Vec<Vec<u8>> {
    let mut requests = vec![];
    let people: Vec<usize> = (0..SIGNING_IN).collect();
    for some in people.chunks(PREPARING) {
        let prepared: Vec<_> =
            some.iter().map(|n| tokio::spawn(sign_in(public, format!("Person {n}")))).collect();
        for request in prepared {
            requests.push(request.await.expect("a prepared sign-in").0);
        }
    }
    requests
}

/// Opens a sign-in as far as the form that posts the response.
async fn sign_in(public: SocketAddr, name: String) -> (Vec<u8>, Browser) {
    let mut browser = Browser::new();
    let start = format!("http://localhost:{}/saml/login?return_to=/", public.port());
    let people = browser.open(&start).await.expect("the sign-in starts");
    let posting = browser.press(&people, &format!("Sign in as {name}")).await.expect("the IdP answers");
    let form = posting.button("Continue").expect("a form that posts the response");
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish();
    let cookie = browser.cookie("localhost", SIGN_IN_COOKIE).expect("the sign-in cookie");
    let head = format!(
        "POST /saml/acs HTTP/1.1\r\nHost: localhost:{}\r\nCookie: {SIGN_IN_COOKIE}={cookie}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        public.port(),
        body.len()
    );
    (head.into_bytes(), browser)
}

/// A request for each person by which an owner of the enterprise takes the person out of a team.
async fn removals(public: SocketAddr, place: &IdpPlace) -> Vec<Vec<u8>> {
    let mut browser = Browser::new();
    let start = format!("http://localhost:{}/saml/login?return_to=/", public.port());
    let people = browser.open(&start).await.expect("the sign-in starts");
    let posting = browser.press(&people, "Sign in as Alice").await.expect("the IdP answers");
    let form = posting.button("Continue").expect("a form that posts the response");
    browser.submit(&form).await.expect("the gateway answers");
    let session = browser.cookie("localhost", SESSION_COOKIE).expect("a session");
    let enterprise = EnterpriseId::of(&EnterpriseSlug::parse("example").expect("an account name"));
    let request = |n: usize| {
        let person = PersonId::of(enterprise, &place.entity_id, &seed::email(n));
        format!(
            "DELETE /.portcullis/api/v1/orgs/{}/memberships/{person} HTTP/1.1\r\nHost: localhost:{}\r\n\
             Cookie: {SESSION_COOKIE}={session}\r\nSec-Fetch-Site: same-origin\r\n\r\n",
            seed::team(1),
            public.port()
        )
    };
    (0..SIGNING_IN).map(|n| request(n).into_bytes()).collect()
}

/// Sends requests one after the other; answers how long each took, in microseconds.
fn send_all(public: SocketAddr, requests: &[Vec<u8>]) -> Vec<f64> {
    let mut stream = TcpStream::connect(public).expect("the gateway accepts");
    stream.set_nodelay(true).expect("a socket");
    let mut micros = vec![];
    for request in requests {
        let begun = Instant::now();
        stream.write_all(request).expect("the gateway reads");
        let status = answer(&mut stream);
        micros.push(begun.elapsed().as_secs_f64() * 1e6);
        assert!([303, 204].contains(&status), "{status}");
    }
    micros
}

/// Reads one response as a whole; answers its status.
fn answer(stream: &mut TcpStream) -> u16 {
    let (mut seen, mut piece) = (vec![], [0; 16 * 1024]);
    loop {
        let count = stream.read(&mut piece).expect("the gateway answers");
        assert!(count > 0, "the gateway closed the connection");
        seen.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&seen);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if body.len() >= length.map_or(0, |length| length.parse().expect("a length")) {
            return head[9..12].parse().expect("a status");
        }
    }
}
