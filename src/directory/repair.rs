//! Puts indexes in step with the records again: what `integrity` found, mended where it is derived from something else.
//!
//! A record is never changed and a stream never touched: what they say is all that there is to go by. Each mend reads the record
//! anew and commits by its revision, so that a gateway that writes meanwhile is not contradicted.
use jiff::SignedDuration;

use super::{
    StoreError,
    integrity::{Fact, IntegrityFault, Said, Slip, said_by},
    unexpected_reply,
};
use crate::{
    domain::{
        AddressId, EnterpriseId, FORMER_DAYS, Id, MailId, OrganizationId, PersonId, ScimId, Timestamp, hex,
    },
    store::{Commit, Committed, Key, Op, Reply, Store, Versioned, Write, records},
};

/// What becomes of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mending {
    /// What it takes, and what was done if it was to be done.
    Possible(String),
    /// Why nothing can be derived.
    Impossible(&'static str),
    /// By now record and index agree, or a gateway was at it at this very moment.
    Settled,
}

/// A set, and what is to be in it or not.
struct Place {
    set: Key,
    member: Vec<u8>,
}

/// Judges a fault and, with `apply`, mends it.
pub async fn repair(
    store: &dyn Store,
    fault: &IntegrityFault,
    apply: bool,
    now: Timestamp,
) -> Result<Mending, StoreError> {
    match &fault.slip {
        None => Ok(Mending::Impossible("nothing else says what it should be: restore an export")),
        Some(Slip::Stray { set, member }) => {
            let Some(set) = Key::parse(set) else { return Ok(Mending::Impossible("its key is not ours")) };
            let place = Place { set, member: member.clone() };
            if apply {
                store.batch(now, vec![Op::Remove(place.set, place.member.clone())]).await?;
            }
            Ok(Mending::Possible(place.words("remove", "from")))
        }
        Some(Slip::Index { fact, ids, said }) => index(store, (*fact, ids, *said), apply, now).await,
    }
}

async fn index(
    store: &dyn Store,
    (fact, ids, said): (Fact, &[u8], Said),
    apply: bool,
    now: Timestamp,
) -> Result<Mending, StoreError> {
    if let Some(why) = beyond_mending(fact) {
        return Ok(Mending::Impossible(why));
    }
    let Some(record) = record_of(fact, ids) else {
        return Ok(Mending::Impossible("it names nothing that there could be"));
    };
    let stored = get(store, record, now).await?;
    let says = match &stored {
        None => false,
        Some(stored) => match said_by(record, &stored.value, now) {
            Some(facts) => facts.contains(&(fact, ids.to_vec())),
            None => return Ok(Mending::Impossible("the record that would say it cannot be read")),
        },
    };
    if says != (said == Said::ByRecord) {
        return Ok(Mending::Settled);
    }
    let due = stored.as_ref().filter(|_| fact == Fact::Mail).map(|stored| stored.value.as_slice());
    let Some(place) = place_of(fact, ids, due) else {
        return Ok(Mending::Impossible("the record that would say it cannot be read"));
    };
    let (words, write) = match says {
        true => (place.words("insert", "into"), Write::Insert(place.set, place.member)),
        false => (place.words("remove", "from"), Write::Remove(place.set, place.member)),
    };
    if apply {
        let revision = stored.map_or(0, |stored| stored.revision);
        let commit = Commit { expect: vec![(record, revision)], writes: vec![write] };
        if store.commit(commit).await? == Committed::Conflict {
            return Ok(Mending::Settled);
        }
        if fact == Fact::Batch {
            // As long as whoever is restored by it can be.
            let end = now.checked_add(SignedDuration::from_hours((FORMER_DAYS + 1) * 24));
            store.batch(now, vec![Op::Expire(place.set, end.unwrap_or(Timestamp::MAX))]).await?;
        }
    }
    Ok(Mending::Possible(words))
}

/// What is an index in a record, or under a key that holds more than what is derived.
fn beyond_mending(fact: Fact) -> Option<&'static str> {
    match fact {
        Fact::Owner => {
            Some("both sides are records: let an owner of the enterprise set the role, or restore an export")
        }
        Fact::Token => Some("the token opens nothing: its person makes another"),
        Fact::ScimToken => Some("the token opens nothing: an owner of the enterprise makes another"),
        Fact::ScimName => {
            Some("both sides are records: restore an export, or let the provider provision it anew")
        }
        _ => None,
    }
}

/// The record that a fact is a part of.
fn record_of(fact: Fact, ids: &[u8]) -> Option<Key> {
    let e = EnterpriseId::from_bytes(part(ids, 0)?);
    Some(match fact {
        Fact::Person => Key::Person(e, PersonId::from_bytes(part(ids, 1)?)),
        Fact::Member | Fact::Held => Key::Person(e, PersonId::from_bytes(part(ids, 2)?)),
        Fact::Unowned | Fact::Organization => Key::Organization(e, OrganizationId::from_bytes(part(ids, 1)?)),
        Fact::Listed | Fact::Sent => Key::Invitee(e, AddressId::from_bytes(part(ids, 2)?)),
        // The digest of a batch's name is as long as two ids.
        Fact::Batch => Key::Person(e, PersonId::from_bytes(part(ids, 3)?)),
        Fact::Mail => Key::Mail(e, MailId::from_bytes(part(ids, 1)?)),
        Fact::ScimMember => Key::ScimUserGroups(e, ScimId::from_bytes(part(ids, 2)?)),
        Fact::ScimOrganization => Key::ScimGroup(e, ScimId::from_bytes(part(ids, 2)?)),
        Fact::ScimJob => Key::ScimGroupJob(e, ScimId::from_bytes(part(ids, 1)?)),
        Fact::ScimListed | Fact::ScimIndexed => return scim_record(scim_place(fact, ids)?),
        Fact::Owner | Fact::Token | Fact::ScimToken | Fact::ScimName => return None,
    })
}

/// Where the index repeats it. `mail` is the record of a mail, which says when it is due.
fn place_of(fact: Fact, ids: &[u8], mail: Option<&[u8]>) -> Option<Place> {
    let e = EnterpriseId::from_bytes(part(ids, 0)?);
    let organization = || Some(OrganizationId::from_bytes(part(ids, 1)?));
    let (set, member) = match fact {
        Fact::Person => (Key::People(e), ids.get(16..)?.to_vec()),
        Fact::Member => (Key::OrganizationMembers(e, organization()?), ids.get(32..)?.to_vec()),
        Fact::Unowned => (Key::Unowned(e), ids.get(16..)?.to_vec()),
        Fact::Held => (Key::HeldRemovals(e), ids.get(16..)?.to_vec()),
        Fact::Organization => (Key::Organizations(e), ids.get(16..)?.to_vec()),
        Fact::Listed => (Key::OrganizationInvitations(e, organization()?), ids.get(32..)?.to_vec()),
        Fact::Sent => (Key::SentInvitations(e, Id::from_bytes(part(ids, 1)?)), ids.get(32..)?.to_vec()),
        Fact::Batch => (Key::Batch(e, ids.get(16..48)?.try_into().ok()?), ids.get(48..)?.to_vec()),
        Fact::Mail => {
            let id = MailId::from_bytes(part(ids, 1)?);
            let mail = records::decode_mail(id, mail?).ok()?;
            (Key::Outbox(e), records::encode_due(mail.due_at, id))
        }
        Fact::ScimMember => {
            (Key::ScimGroupMembers(e, ScimId::from_bytes(part(ids, 1)?)), ids.get(32..)?.to_vec())
        }
        Fact::ScimOrganization => (Key::ScimOrganizations(e), ids.get(16..)?.to_vec()),
        Fact::ScimJob => (Key::ScimJobs(e), ids.get(16..)?.to_vec()),
        Fact::ScimListed | Fact::ScimIndexed => return scim_place(fact, ids),
        Fact::Owner | Fact::Token | Fact::ScimToken | Fact::ScimName => return None,
    };
    Some(Place { set, member })
}

/// The set by the text of its key, then its member.
fn scim_place(fact: Fact, ids: &[u8]) -> Option<Place> {
    let length = if fact == Fact::ScimListed { 24 } else { 16 };
    let (text, member) = ids.split_at_checked(ids.len().checked_sub(length)?)?;
    Some(Place { set: Key::parse(std::str::from_utf8(text).ok()?)?, member: member.to_vec() })
}

/// What is listed or found there.
fn scim_record(Place { set, member }: Place) -> Option<Key> {
    let id = ScimId::from_bytes(*member.last_chunk::<16>()?);
    Some(match set {
        Key::ScimUsers(e) | Key::ScimExternalId(e, _) | Key::ScimEmail(e, _) => Key::ScimUser(e, id),
        Key::ScimGroups(e) | Key::ScimGroupExternalId(e, _) => Key::ScimGroup(e, id),
        _ => return None,
    })
}

/// One of the ids that a fact is made of, 16 bytes each.
fn part(ids: &[u8], n: usize) -> Option<[u8; 16]> {
    ids.get(16 * n..16 * (n + 1))?.try_into().ok()
}

impl Place {
    fn words(&self, verb: &str, preposition: &str) -> String {
        let member = hex(&self.member);
        format!("{verb} {member} {preposition} {}", self.set.text())
    }
}

async fn get(store: &dyn Store, key: Key, now: Timestamp) -> Result<Option<Versioned>, StoreError> {
    match store.batch(now, vec![Op::Get(key)]).await?.pop() {
        Some(Reply::Value(stored)) => Ok(stored),
        _ => Err(unexpected_reply()),
    }
}
