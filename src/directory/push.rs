//! What other gateways changed: forgotten here when they tell of it.
//!
//! Notes come with the commit or the batch that makes the change, so that a removal takes effect here within milliseconds. None
//! is counted on: what is cached is a second old at most, and responses under way are looked at every two seconds.
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    domain::{
        ActiveSession, Caller, CallerId, EnterpriseId, Person, PersonId, Session, Timestamp, TokenHolder,
    },
    store::{BATCH_STEPS_MAX, Heard, Key, Note, Notes, Op, Reply, StoreError, records},
};

use super::{
    Directory,
    sessions::{is_of_link, may_come_in},
    tokens, unexpected_reply,
};

impl Directory {
    /// Hears what this gateway and others change, from now on.
    pub fn notes(&self) -> Notes {
        self.store.notes()
    }

    /// Whether what others change is heard at once, as far as is known.
    pub fn is_listening(&self) -> bool {
        self.store.is_listening()
    }

    /// Forgets what a note makes stale.
    pub fn hear(&self, heard: Heard) {
        match heard {
            Heard::Note(Note::Person(_, person)) => self.forget_person(person),
            Heard::Note(Note::Session(session)) => self.sessions.forget(session.as_bytes()),
            Heard::Note(Note::Enterprise(enterprise)) => {
                self.settings.forget(enterprise);
                self.forget_scim_tokens(enterprise);
            }
            Heard::Gap => {
                self.sessions.forget_all();
                self.tokens.forget_all();
                self.scim_tokens.forget_all();
                self.settings.forget_all();
            }
        }
    }

    /// Forgets one session or token.
    pub fn forget(&self, caller: CallerId) {
        match caller {
            CallerId::Session(id) => self.sessions.forget(id.as_bytes()),
            CallerId::Token(secret) => self.tokens.forget(&secret),
        }
    }

    /// Forgets every session and every token of a person.
    pub(super) fn forget_person(&self, person: PersonId) {
        self.sessions.forget_all_of(person);
        self.tokens.forget_all_of(person);
    }

    /// Those of the callers that still are some, as they are now; who is missing has ended. Looks past the caches, and is no use
    /// of a session or a token that would prolong it.
    pub async fn present(
        &self,
        callers: &BTreeSet<CallerId>,
        now: Timestamp,
    ) -> Result<BTreeMap<CallerId, Caller>, StoreError> {
        let ids: Vec<CallerId> = callers.iter().copied().collect();
        let mut present = BTreeMap::new();
        for ids in ids.chunks(BATCH_STEPS_MAX) {
            self.add_present(ids, now, &mut present).await?;
        }
        Ok(present)
    }

    async fn add_present(
        &self,
        ids: &[CallerId],
        now: Timestamp,
        present: &mut BTreeMap<CallerId, Caller>,
    ) -> Result<(), StoreError> {
        let key = |id: &CallerId| match id {
            CallerId::Session(id) => Key::Session(*id),
            CallerId::Token(secret) => Key::AccessToken(*secret),
        };
        // Who was put out is cut off at once, also while replicas are away.
        let shown = self.read(ids.iter().map(key).map(Op::Peek), now).await?;
        let mut found = vec![];
        for (id, value) in ids.iter().zip(shown) {
            let Some(value) = value else { continue };
            found.push(match id {
                CallerId::Session(id) => match records::decode_session(*id, &value)? {
                    Some(session) => Found::Session(session.into()),
                    // Of an older version: none here.
                    None => continue,
                },
                CallerId::Token(secret) => Found::Token(*secret, records::decode_token_holder(&value)?),
            });
        }
        let people: Vec<_> = found.iter().map(Found::person).collect();
        let people = people.iter().map(|(e, p)| Op::Peek(Key::Person(*e, *p)));
        let records = self.read(people, now).await?;
        for (found, value) in found.into_iter().zip(records) {
            let (enterprise, id) = found.person();
            let person = value.map(|value| records::decode_person(enterprise, id, &value)).transpose()?;
            if let Some(caller) = person.and_then(|person| found.caller(person, now)) {
                present.insert(caller.id(), caller);
            }
        }
        Ok(())
    }

    /// The values behind keys, in their order.
    pub(super) async fn values(
        &self,
        keys: impl Iterator<Item = Key>,
        now: Timestamp,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.read(keys.map(Op::Get), now).await
    }

    async fn read(
        &self,
        ops: impl Iterator<Item = Op>,
        now: Timestamp,
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let value = |reply| match reply {
            Reply::Value(stored) => Ok(stored.map(|stored| stored.value)),
            _ => Err(unexpected_reply()),
        };
        let ops: Vec<Op> = ops.collect();
        if ops.is_empty() {
            return Ok(vec![]);
        }
        self.store.batch(now, ops).await?.into_iter().map(value).collect()
    }
}

/// What was found behind what a caller showed.
enum Found {
    Session(Box<Session>),
    Token([u8; 32], TokenHolder),
}

impl Found {
    fn person(&self) -> (EnterpriseId, PersonId) {
        match self {
            Self::Session(session) => (session.enterprise_id, session.person),
            Self::Token(_, holder) => (holder.enterprise_id, holder.person),
        }
    }

    fn caller(self, person: Person, now: Timestamp) -> Option<Caller> {
        match self {
            Self::Session(session) => {
                let opens = session.is_live(now) && may_come_in(&person) && is_of_link(&session, &person);
                let active = ActiveSession { session: *session, memberships: person.memberships };
                opens.then(|| Caller::Session(active.into()))
            }
            Self::Token(secret, holder) => {
                tokens::active(&secret, &holder, person, now).ok().map(|active| Caller::Token(active.into()))
            }
        }
    }
}
