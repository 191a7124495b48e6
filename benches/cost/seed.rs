//! A town of people, written into a store by the way that `import` takes: records, sets, sessions and an audit stream, all of
//! the kind that sign-ins leave.
use std::{sync::Arc, time::Instant};

use jiff::SignedDuration;
use portcullis::{
    domain::{
        AuthnDemand, EnterpriseId, EnterpriseSlug, Membership, MembershipSource, NameId, Organization,
        OrganizationId, OrganizationSlug, Person, PersonId, Profile, Role, Session, SessionToken, Standing,
        Timestamp,
    },
    store::{
        Entry, Key, Piece, StoreError, StreamHead, Whole, records,
        stream::{LINK_0, Link, link},
    },
    telemetry::{AuditAction, AuditEvent, AuditLine, Trigger},
};

use super::{acts::SIGNING_IN, world::IdpPlace};

const TEAMS: usize = 10;
/// Members that travel in one piece.
const MEMBERS_PER_PIECE: usize = 1_000;
/// One of so many people has a session.
const PEOPLE_PER_SESSION: usize = 10;
const SESSION_HOURS: i64 = 24;
const TENTHS: usize = 10;

/// The organizations of the town.
pub fn teams() -> impl Iterator<Item = OrganizationSlug> {
    (0..TEAMS).map(team)
}

pub fn team(n: usize) -> OrganizationSlug {
    OrganizationSlug::parse(&format!("team-{n}")).expect("an account name")
}

/// Who lives there. Everybody is in three of ten teams, so that each team has three tenths of the town, but for those who will
/// sign in, who are in the first team only, and for one who owns all teams.
#[derive(Clone)]
pub struct Town {
    pub people: usize,
    pub enterprise: EnterpriseId,
    idp: String,
    pub now: Timestamp,
}

impl Town {
    pub fn new(idp: &IdpPlace, people: usize) -> Self {
        let slug = EnterpriseSlug::parse("example").expect("an account name");
        let people = people.max(SIGNING_IN + 1);
        Self {
            people,
            enterprise: EnterpriseId::of(&slug),
            idp: idp.entity_id.clone(),
            now: Timestamp::now(),
        }
    }

    pub fn id(&self, n: usize) -> PersonId {
        PersonId::of(self.enterprise, &self.idp, &email(n))
    }

    fn teams_of(n: usize) -> Vec<usize> {
        let mut teams = match n {
            _ if n < SIGNING_IN => vec![0],
            SIGNING_IN => (0..TEAMS).collect(),
            _ => vec![n % TEAMS, (n + 3) % TEAMS, (n + 7) % TEAMS],
        };
        teams.sort_unstable();
        teams
    }

    /// A person's record, with the memberships or without.
    pub fn person(&self, n: usize, is_member: bool) -> Person {
        let role = if n == SIGNING_IN { Role::Owner } else { Role::Member };
        let member = |n| Membership::new(team(n), role, MembershipSource::Saml, self.now);
        let teams = Self::teams_of(n);
        Person {
            id: self.id(n),
            enterprise: self.enterprise,
            standing: Standing::Active,
            linked_at: Some(self.now),
            issuer: self.idp.clone(),
            name_id: name_id(n),
            profile: profile(n),
            memberships: teams.iter().filter(|_| is_member).map(|n| member(*n)).collect(),
            former: vec![],
            tokens: vec![],
            last_groups: Some(groups(&teams)),
            decided_at: None,
            created_at: self.now,
            last_sign_in_at: self.now,
        }
    }

    fn organization(&self, n: usize) -> Organization {
        let slug = team(n);
        let mut record = Organization::new(OrganizationId::of(self.enterprise, &slug), slug);
        record.owners.insert(self.id(SIGNING_IN));
        record
    }

    pub fn members_key(&self, n: usize) -> Key {
        Key::OrganizationMembers(self.enterprise, OrganizationId::of(self.enterprise, &team(n)))
    }

    /// Teams by the person's number.
    pub fn member_keys(&self, n: usize) -> Vec<Key> {
        Self::teams_of(n).into_iter().map(|team| self.members_key(team)).collect()
    }

    pub fn session(&self, n: usize) -> Session {
        let mut random = [0; 32];
        random[..8].copy_from_slice(&(n as u64).to_be_bytes());
        let end = self.now.checked_add(SignedDuration::from_hours(SESSION_HOURS)).expect("a time");
        Session {
            id: SessionToken::from_random(random).session_id(),
            enterprise: EnterpriseSlug::parse("example").expect("an account name"),
            enterprise_id: self.enterprise,
            person: self.id(n),
            name_id: name_id(n),
            session_index: Some(format!("_{n:032x}")),
            authn_instant: self.now,
            authn_context: AuthnDemand::default().contexts.first().cloned(),
            profile: profile(n),
            groups: groups(&Self::teams_of(n)),
            created_at: self.now,
            last_seen_at: self.now,
            expires_at: end,
            idle_seconds_max: 8 * 60 * 60,
        }
    }

    /// The set in which a session is listed.
    pub fn session_list(&self, session: &Session) -> Key {
        Key::PersonSessions(self.enterprise, session.person)
    }

    /// What the audit stream says of a sign-in.
    pub fn told(&self, n: usize) -> Vec<u8> {
        let (person, user, groups) = (self.id(n).to_string(), email(n), groups(&Self::teams_of(n)));
        let (request, assertion) = (format!("{n:032x}"), format!("_{n:032x}"));
        let event = AuditEvent {
            person: Some(&person),
            user: Some(&user),
            issuer: Some(&self.idp),
            request_id: Some(&request),
            assertion_id: Some(&assertion),
            session_index: Some(&assertion),
            groups_state: Some("present"),
            groups: &groups,
            ..AuditEvent::new(self.now, AuditAction::SsoResponse, Trigger::Saml, "example")
        };
        AuditLine::of(&event).as_bytes().to_vec()
    }

    /// Everything, piece by piece.
    fn pieces(&self) -> impl Iterator<Item = Piece> + Send {
        let (at, town) = (self.enterprise, Arc::new(self.clone()));
        let of = || Arc::clone(&town);
        let (owned, people, listed, in_session) = (of(), of(), of(), of());
        let records = (0..TEAMS).map(move |n| {
            let record = owned.organization(n);
            let value = records::encode_organization(&record);
            Piece::Record { key: Key::Organization(at, record.id), revision: 1, value }
        });
        let persons = (0..self.people).map(move |n| {
            let value = records::encode_person(&people.person(n, true));
            Piece::Record { key: Key::Person(at, people.id(n)), revision: 1, value }
        });
        let everybody = Arc::clone(&listed);
        let known = members(Key::People(at), (0..self.people).map(move |n| id(&everybody, n)));
        let count = self.people;
        let members = (0..TEAMS).flat_map(move |team| {
            let town = Arc::clone(&listed);
            let belong = (0..count).filter(move |n| Town::teams_of(*n).contains(&team));
            members(listed.members_key(team), belong.map(move |n| id(&town, n)))
        });
        let sessions = (SIGNING_IN..self.people)
            .step_by(PEOPLE_PER_SESSION)
            .flat_map(move |n| session_pieces(&in_session, n));
        records.chain(persons).chain(known).chain(members).chain(sessions).chain(self.stream(of()))
    }

    /// One entry for each person, chained; the head, which says where it ends, comes before.
    fn stream(&self, town: Arc<Town>) -> impl Iterator<Item = Piece> + Send {
        let key = Key::Audit(self.enterprise);
        let last = (0..self.people).fold(LINK_0, |before, n| link(&before, n as u64 + 1, &self.told(n)));
        let head = StreamHead { first: 1, last: self.people as u64, link_before_first: LINK_0, link: last };
        let mut before = LINK_0;
        let entries = (0..self.people).map(move |n| {
            let value = town.told(n);
            before = link(&before, n as u64 + 1, &value);
            Piece::Entry { key, entry: Entry { sequence: n as u64 + 1, link: before, value } }
        });
        std::iter::once(Piece::Head { key, head }).chain(entries)
    }

    /// How many pieces there are, nearly.
    fn pieces_about(&self) -> usize {
        2 * self.people + 5 * self.people / PEOPLE_PER_SESSION + 4 * self.people / MEMBERS_PER_PIECE
    }
}

/// Fills an empty store, and says how far it has come.
pub async fn fill(store: Arc<dyn Whole>, town: &Town, idp: &IdpPlace, name: &str) {
    let (mut pieces, mut count, begun) = (town.pieces(), 0, Instant::now());
    let about = town.pieces_about();
    let mut next = move || -> Result<Option<Piece>, StoreError> {
        count += 1;
        if count % about.div_ceil(TENTHS).max(10_000) == 0 {
            let percent = (count * 100 / about).min(100);
            println!("  seeding {name}: {percent} %, {:.0} s", begun.elapsed().as_secs_f64());
        }
        Ok(pieces.next())
    };
    let import: Link = link(&LINK_0, town.people as u64, idp.entity_id.as_bytes());
    store.restore(town.now, import, &mut next).await.expect("the store is filled");
}

/// A set, in pieces.
fn members(key: Key, mut ids: impl Iterator<Item = Vec<u8>> + Send) -> impl Iterator<Item = Piece> + Send {
    std::iter::from_fn(move || {
        let members: Vec<Vec<u8>> = ids.by_ref().take(MEMBERS_PER_PIECE).collect();
        (!members.is_empty()).then_some(Piece::Members { key, members })
    })
}

fn session_pieces(town: &Town, n: usize) -> Vec<Piece> {
    let session = town.session(n);
    let at = session.expires_at;
    let value = records::encode_session(&session);
    let mut pieces = vec![Piece::Expiring { key: Key::Session(session.id), expires_at: at, value }];
    let key = town.session_list(&session);
    pieces.push(Piece::Members { key, members: vec![records::encode_subject_session(session.id, at)] });
    pieces.push(Piece::Until { key, at });
    pieces
}

fn id(town: &Town, n: usize) -> Vec<u8> {
    town.id(n).as_bytes().to_vec()
}

/// As the development IdP knows the person.
pub fn email(n: usize) -> String {
    format!("p{n}@example.com")
}

fn name_id(n: usize) -> NameId {
    NameId { value: email(n), format: NameId::PERSISTENT.into(), ..NameId::default() }
}

fn profile(n: usize) -> Profile {
    Profile {
        user: email(n),
        email: Some(email(n)),
        display_name: Some(format!("Person {n}")),
        preferred_username: Some(format!("p{n}")),
    }
}

/// Those of the teams, and one that stands for nothing here.
pub fn groups(teams: &[usize]) -> Vec<String> {
    let mut groups: Vec<String> = teams.iter().map(|n| team(*n).to_string()).collect();
    groups.push("everyone".to_owned());
    groups.sort_unstable();
    groups
}
