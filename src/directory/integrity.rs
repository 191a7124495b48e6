//! Whether what lies in a store agrees with itself: every record readable, every index in step with its records, every audit
//! stream unbroken.
//!
//! A fact is what a record says and an index repeats, or the other way round. The walk notes who said it; what only one of the two
//! said when the walk is over is a fault. Only facts that wait for their other half are kept.
mod scim;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    domain::{
        AddressId, EnterpriseId, FORMER_DAYS, Invitee, Organization, OrganizationId, Person, PersonId, Role,
        ScimToken, Timestamp, digest,
    },
    store::{Broken, Key, Piece, StoreError, Whole, records, verify_stream},
};

/// Faults that are told one by one; the rest is counted.
const FAULTS_TOLD_MAX: usize = 1_000;

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IntegrityFault {
    /// The key, or what is missing where.
    pub what: String,
    pub why: String,
    pub hint: &'static str,
    /// What `repair` goes by; `None` where nothing else says what it should be.
    pub(super) slip: Option<Slip>,
}

/// What is out of step, in ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slip {
    /// Only one of the two says it.
    Index { fact: Fact, ids: Vec<u8>, said: Said },
    /// A member of a set, by the text of its key, that can be none.
    Stray { set: String, member: Vec<u8> },
}

/// What a walk found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntegrityReport {
    pub people: u64,
    pub organizations: u64,
    pub memberships: u64,
    pub sessions: u64,
    pub audit_entries: u64,
    /// Sorted.
    pub faults: Vec<IntegrityFault>,
    /// Beyond those.
    pub faults_untold: u64,
}

impl IntegrityReport {
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty() && self.faults_untold == 0
    }

    fn fault(&mut self, what: impl Into<String>, why: impl Into<String>, hint: &'static str) {
        self.slip(what, why, hint, None);
    }

    fn slip(
        &mut self,
        what: impl Into<String>,
        why: impl Into<String>,
        hint: &'static str,
        slip: Option<Slip>,
    ) {
        if self.faults.len() < FAULTS_TOLD_MAX {
            self.faults.push(IntegrityFault { what: what.into(), why: why.into(), hint, slip });
        } else {
            self.faults_untold += 1;
        }
    }
}

/// What a record and an index both say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Fact {
    Person,
    Member,
    Owner,
    Unowned,
    Held,
    Organization,
    Listed,
    Sent,
    Batch,
    Mail,
    Token,
    ScimListed,
    ScimName,
    ScimIndexed,
    ScimMember,
    ScimJob,
    ScimOrganization,
    ScimToken,
}

impl Fact {
    /// The record's place and the index's, in words.
    fn places(self) -> (&'static str, &'static str) {
        match self {
            Self::Person => ("a person's record", "the set of people"),
            Self::Member => ("a person's memberships", "the organization's set of members"),
            Self::Owner => ("a person's role of owner", "the organization's owners"),
            Self::Unowned => ("an organization without an owner", "the set of unowned organizations"),
            Self::Held => ("a membership whose removal is held", "the set of held removals"),
            Self::Organization => ("an organization that was created", "the set of organizations"),
            Self::Listed => ("an invitation", "the organization's set of invitations"),
            Self::Sent => ("an invitation's inviter", "the inviter's set of invitations"),
            Self::Batch => ("a former membership's batch", "the batch's set of people"),
            Self::Mail => ("a mail", "the outbox"),
            Self::Token => ("a person's access token", "the token's own key"),
            Self::ScimListed => ("a SCIM resource", "the list of its kind"),
            Self::ScimName => ("a SCIM resource's name or link", "the record of that name or link"),
            Self::ScimIndexed => ("a SCIM resource's externalId or address", "its index"),
            Self::ScimMember => ("a SCIM user's groups", "the group's members"),
            Self::ScimJob => ("an unfinished change of a SCIM group", "the set of them"),
            Self::ScimOrganization => ("a SCIM group's organization", "the set of them"),
            Self::ScimToken => ("a SCIM token of the enterprise", "the token's own key"),
        }
    }

    /// Whether the index may say more than the records: it is cleared later, or expires by itself.
    fn may_linger(self) -> bool {
        matches!(self, Self::Batch | Self::Mail | Self::Token | Self::ScimToken)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Said {
    ByRecord,
    ByIndex,
}

/// Walks everything. A gateway that writes meanwhile can make a fault appear that is none: check at rest, or check twice.
pub async fn examine(store: &dyn Whole, now: Timestamp) -> Result<IntegrityReport, StoreError> {
    let mut walk = Walk::begin(now);
    let mut visit = |piece| {
        walk.see(piece);
        Ok(())
    };
    store.walk(now, &mut visit).await?;
    walk.check_linked(store).await?;
    walk.check_grouped(store).await?;
    let Walk { mut report, open, streams, .. } = walk;
    for ((fact, ids), said) in open.into_iter().collect::<BTreeMap<_, _>>() {
        tell(&mut report, fact, &ids, said);
    }
    for enterprise in streams {
        let stream = Key::Audit(enterprise);
        match verify_stream(store, stream, None).await? {
            Ok(chain) => report.audit_entries += (chain.last + 1).saturating_sub(chain.first),
            Err(broken) => tell_broken(&mut report, stream, &broken),
        }
    }
    report.faults.sort();
    Ok(report)
}

fn tell(report: &mut IntegrityReport, fact: Fact, ids: &[u8], said: Said) {
    if said == Said::ByIndex && fact.may_linger() {
        return;
    }
    let (record, index) = fact.places();
    let (has, lacks) = match said {
        Said::ByRecord => (record, index),
        Said::ByIndex => (index, record),
    };
    let why = format!("{has} says it and {lacks} does not");
    let hint = "portcullis check --store --repair shows whether it can be mended; else restore an export that is clean";
    report.slip(scim::shown(ids), why, hint, Some(Slip::Index { fact, ids: ids.to_vec(), said }));
}

/// Everything that a record says which an index repeats; `None` if it cannot be read.
pub(super) fn said_by(record: Key, value: &[u8], now: Timestamp) -> Option<BTreeSet<(Fact, Vec<u8>)>> {
    let mut walk = Walk::begin(now);
    walk.see_value(record, value);
    let by_record = walk.open.into_iter().filter(|(_, said)| *said == Said::ByRecord);
    if walk.unread { None } else { Some(by_record.map(|(fact, _)| fact).collect()) }
}

fn tell_broken(report: &mut IntegrityReport, stream: Key, broken: &Broken) {
    let hint =
        "somebody changed the store behind the gateway: compare with an export or with what sinks received";
    report.fault(stream.text(), broken.to_string(), hint);
}

struct Walk {
    now: Timestamp,
    report: IntegrityReport,
    /// Said once so far.
    open: HashMap<(Fact, Vec<u8>), Said>,
    streams: BTreeSet<EnterpriseId>,
    /// Whether there was something that cannot be read.
    unread: bool,
    /// Whom SCIM users are linked to.
    linked: Vec<(EnterpriseId, PersonId)>,
    /// Who is in SCIM groups, and what the groups correspond to in these users' records.
    grouped: scim::Grouped,
}

impl Walk {
    fn begin(now: Timestamp) -> Self {
        Self {
            now,
            report: IntegrityReport::default(),
            open: HashMap::new(),
            streams: BTreeSet::new(),
            unread: false,
            linked: vec![],
            grouped: scim::Grouped::default(),
        }
    }

    fn see(&mut self, piece: Piece) {
        match piece {
            Piece::Foreign { key, why } => {
                self.report.fault(key, why, "remove it, or use the version that wrote it");
            }
            Piece::Record { key, value, .. } => self.see_value(key, &value),
            Piece::Expiring { key, expires_at, value } if self.now < expires_at => {
                self.see_value(key, &value)
            }
            Piece::Members { key, members } => {
                for member in members {
                    self.see_member(key, &member);
                }
            }
            Piece::Head { key: Key::Audit(enterprise), .. }
            | Piece::Entry { key: Key::Audit(enterprise), .. } => {
                self.streams.insert(enterprise);
            }
            Piece::Tally { .. }
            | Piece::Expiring { .. }
            | Piece::Until { .. }
            | Piece::Head { .. }
            | Piece::Entry { .. } => {}
        }
    }

    fn say(&mut self, fact: Fact, parts: &[&[u8]], by: Said) {
        let key = (fact, parts.concat());
        match self.open.get(&key) {
            Some(said) if *said != by => drop(self.open.remove(&key)),
            _ => drop(self.open.insert(key, by)),
        }
    }

    fn see_value(&mut self, key: Key, value: &[u8]) {
        let read = match key {
            Key::Person(e, id) => records::decode_person(e, id, value).map(|person| self.see_person(&person)),
            Key::Organization(e, id) => records::decode_organization(id, value)
                .map(|organization| self.see_organization(e, &organization)),
            Key::Invitee(e, address) => {
                records::decode_invitee(address, value).map(|invitee| self.see_invitee(e, address, &invitee))
            }
            Key::Session(id) => records::decode_session(id, value).map(|_| self.report.sessions += 1),
            Key::PendingSignIn(id) => records::decode_pending_sign_in(id, value).map(drop),
            Key::PendingLogout(id) => records::decode_pending_logout(id, value).map(drop),
            Key::IdpMetadata(_) => records::decode_idp_document(value).map(drop),
            Key::LoggedOut(_) => records::decode_logged_out(value).map(drop),
            Key::Mail(e, id) => records::decode_mail(id, value)
                .map(|_| self.say(Fact::Mail, &[e.as_bytes(), id.as_bytes()], Said::ByRecord)),
            Key::AccessToken(secret) => {
                records::decode_token_holder(value).map(|_| self.say(Fact::Token, &[&secret], Said::ByIndex))
            }
            Key::RecoveryCodes(_, id) => records::decode_recovery_codes(value).map(|codes| {
                if codes.person != id {
                    let hint = "restore it from an export, or let the owner make new ones";
                    self.report.fault(key.text(), "it lies under the key of another person", hint);
                }
            }),
            Key::WebhookCursor(..) => records::decode_webhook_cursor(value).map(drop),
            Key::ScimTokens(_) => {
                records::decode_scim_tokens(value).map(|tokens| self.see_scim_tokens(&tokens))
            }
            Key::ScimToken(secret) => {
                self.say(Fact::ScimToken, &[&secret], Said::ByIndex);
                records::decode_scim_token_holder(value).map(drop)
            }
            other => self.see_scim(other, value).map(drop),
        };
        if let Err(error) = read {
            self.unread = true;
            let hint = "restore it from an export, or use the version that wrote it";
            self.report.fault(key.text(), error.to_string(), hint);
        }
    }

    fn see_person(&mut self, person: &Person) {
        let (e, id) = (person.enterprise, person.id);
        let key = Key::Person(e, id);
        self.report.people += 1;
        self.say(Fact::Person, &[e.as_bytes(), id.as_bytes()], Said::ByRecord);
        if !person.memberships.is_sorted_by(|one, next| one.organization < next.organization) {
            let hint = "restore it from an export";
            self.report.fault(key.text(), "its memberships are out of order or double", hint);
        }
        for member in &person.memberships {
            self.report.memberships += 1;
            let organization = OrganizationId::of(e, &member.organization);
            let parts: [&[u8]; 3] = [e.as_bytes(), organization.as_bytes(), id.as_bytes()];
            self.say(Fact::Member, &parts, Said::ByRecord);
            if member.role == Role::Owner {
                self.say(Fact::Owner, &parts, Said::ByRecord);
            }
            if member.held.is_some() {
                self.say(Fact::Held, &parts, Said::ByRecord);
            }
        }
        let remembered = jiff::SignedDuration::from_hours(FORMER_DAYS * 24);
        let oldest = self.now.checked_sub(remembered).unwrap_or(Timestamp::MIN);
        let former = person.former.iter().filter(|former| former.ended_at > oldest);
        // A person may lose several memberships in one batch, which lists the person once.
        let batches: BTreeSet<_> = former.map(|former| digest(&[former.batch.as_str().as_bytes()])).collect();
        for batch in batches {
            self.say(Fact::Batch, &[e.as_bytes(), &batch, id.as_bytes()], Said::ByRecord);
        }
        let now = self.now;
        for token in person.tokens.iter().filter(|token| now < token.expires_at) {
            self.say(Fact::Token, &[&token.secret], Said::ByRecord);
        }
    }

    fn see_scim_tokens(&mut self, tokens: &[ScimToken]) {
        let now = self.now;
        for token in tokens.iter().filter(|token| token.is_live(now)) {
            self.say(Fact::ScimToken, &[&token.secret], Said::ByRecord);
        }
    }

    fn see_organization(&mut self, e: EnterpriseId, organization: &Organization) {
        let key = Key::Organization(e, organization.id);
        self.report.organizations += 1;
        if OrganizationId::of(e, &organization.slug) != organization.id {
            let hint = "restore it from an export";
            self.report.fault(key.text(), "it lies under the key of another organization", hint);
        }
        for owner in &organization.owners {
            let parts: [&[u8]; 3] = [e.as_bytes(), organization.id.as_bytes(), owner.as_bytes()];
            self.say(Fact::Owner, &parts, Said::ByIndex);
        }
        if organization.unowned_since.is_some() {
            self.say(Fact::Unowned, &[e.as_bytes(), organization.id.as_bytes()], Said::ByRecord);
            if !organization.owners.is_empty() {
                let hint = "restore it from an export, or claim it";
                self.report.fault(key.text(), "it has owners and says that it has none", hint);
            }
        }
        if organization.created_at.is_some() {
            self.say(Fact::Organization, &[e.as_bytes(), organization.id.as_bytes()], Said::ByRecord);
        }
    }

    fn see_invitee(&mut self, e: EnterpriseId, address: AddressId, invitee: &Invitee) {
        for invitation in &invitee.invitations {
            let organization = OrganizationId::of(e, &invitation.organization);
            let reference = [&address.as_bytes()[..], invitation.id.as_bytes()].concat();
            self.say(Fact::Listed, &[e.as_bytes(), organization.as_bytes(), &reference], Said::ByRecord);
            if let Some(inviter) = invitation.inviter {
                self.say(Fact::Sent, &[e.as_bytes(), inviter.as_bytes(), &reference], Said::ByRecord);
            }
        }
    }

    fn see_member(&mut self, key: Key, member: &[u8]) {
        if self.see_scim_member(key, member) {
            return;
        }
        let (fact, length) = match key {
            Key::People(_) => (Fact::Person, 16),
            Key::OrganizationMembers(..) => (Fact::Member, 16),
            Key::Unowned(_) => (Fact::Unowned, 16),
            Key::HeldRemovals(_) => (Fact::Held, 32),
            Key::Organizations(_) => (Fact::Organization, 16),
            Key::OrganizationInvitations(..) => (Fact::Listed, 32),
            Key::SentInvitations(..) => (Fact::Sent, 32),
            Key::Batch(..) => (Fact::Batch, 16),
            Key::Outbox(_) => (Fact::Mail, 24),
            _ => return,
        };
        if member.len() != length {
            let hint = "portcullis check --store --repair removes it from the set";
            let why = "it has a member of another length than its kind";
            let slip = Slip::Stray { set: key.text(), member: member.to_vec() };
            return self.report.slip(key.text(), why, hint, Some(slip));
        }
        match key {
            Key::People(e) | Key::Unowned(e) | Key::HeldRemovals(e) | Key::Organizations(e) => {
                self.say(fact, &[e.as_bytes(), member], Said::ByIndex);
            }
            Key::OrganizationMembers(e, id) | Key::OrganizationInvitations(e, id) => {
                self.say(fact, &[e.as_bytes(), id.as_bytes(), member], Said::ByIndex);
            }
            Key::SentInvitations(e, id) => {
                self.say(fact, &[e.as_bytes(), id.as_bytes(), member], Said::ByIndex)
            }
            Key::Batch(e, digest) => self.say(fact, &[e.as_bytes(), &digest, member], Said::ByIndex),
            // Its due time comes first.
            Key::Outbox(e) => {
                let id = member.get(8..).unwrap_or_default();
                self.say(fact, &[e.as_bytes(), id], Said::ByIndex);
            }
            _ => {}
        }
    }
}
