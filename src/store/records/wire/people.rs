//! People, organizations and invitations.
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Name, Shown, V, V1, V2, corrupt, enterprise, millis, time};
use crate::{
    domain::{
        self, AddressId, BatchId, EnterpriseId, InvitationId, InvitationSource, MembershipSource,
        OrganizationId, OrganizationSlug, PersonId, PinReason, Role, Scope, Standing, TokenId, hex,
        parse_hex,
    },
    store::StoreError,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store::records) struct Person {
    v: V2,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    out: Option<Out>,
    linked: Option<i64>,
    issuer: String,
    name: Name,
    profile: Shown,
    memberships: Vec<Membership>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former: Vec<Former>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<Token>,
    groups: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decided: Option<i64>,
    created: i64,
    signed_in: i64,
}

/// Why a person is out: `deactivated` or `deleted`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Out {
    how: String,
    since: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Membership {
    org: String,
    role: String,
    source: String,
    since: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pin: Option<Pin>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pin {
    by: String,
    since: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Held {
    since: i64,
    batch: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Former {
    org: String,
    role: String,
    source: String,
    since: i64,
    ended: i64,
    batch: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    id: String,
    hash: String,
    name: String,
    orgs: Vec<String>,
    scopes: Vec<String>,
    last_eight: String,
    created: i64,
    expires: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store::records) struct TokenHolder {
    v: V1,
    enterprise: String,
    enterprise_id: String,
    person: String,
    token: String,
    used: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store::records) struct Organization {
    v: V2,
    slug: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    display: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    managed: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<i64>,
    owners: Vec<String>,
    unowned: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    removals: Vec<(i64, u32)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    invited: Vec<(i64, u32)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store::records) struct Invitee {
    v: V1,
    invitations: Vec<Invitation>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Invitation {
    id: String,
    org: String,
    role: String,
    source: String,
    email: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    person: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inviter: Option<String>,
    invited: i64,
    expires: Option<i64>,
    hash: String,
    sent: u32,
    sent_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    undeliverable: Option<i64>,
}

impl From<&domain::Person> for Person {
    fn from(person: &domain::Person) -> Self {
        Self {
            v: V,
            out: Out::of(person.standing),
            linked: person.linked_at.map(millis),
            issuer: person.issuer.clone(),
            name: Name::from(&person.name_id),
            profile: Shown::from(&person.profile),
            memberships: person.memberships.iter().map(Membership::from).collect(),
            former: person.former.iter().map(Former::from).collect(),
            tokens: person.tokens.iter().map(Token::from).collect(),
            groups: person.last_groups.clone(),
            decided: person.decided_at.map(millis),
            created: millis(person.created_at),
            signed_in: millis(person.last_sign_in_at),
        }
    }
}

impl Person {
    pub fn into_domain(self, enterprise: EnterpriseId, id: PersonId) -> Result<domain::Person, StoreError> {
        Ok(domain::Person {
            id,
            enterprise,
            standing: self.out.map_or(Ok(Standing::Active), Out::into_domain)?,
            linked_at: self.linked.map(time).transpose()?,
            issuer: self.issuer,
            name_id: self.name.into(),
            profile: self.profile.into(),
            memberships: all(self.memberships, Membership::into_domain)?,
            former: all(self.former, Former::into_domain)?,
            tokens: all(self.tokens, Token::into_domain)?,
            last_groups: self.groups,
            decided_at: self.decided.map(time).transpose()?,
            created_at: time(self.created)?,
            last_sign_in_at: time(self.signed_in)?,
        })
    }
}

impl Out {
    fn of(standing: Standing) -> Option<Self> {
        let (how, since) = match standing {
            Standing::Active => return None,
            Standing::Deactivated { since } => ("deactivated", since),
            Standing::Deleted { since } => ("deleted", since),
        };
        Some(Self { how: how.to_owned(), since: millis(since) })
    }

    fn into_domain(self) -> Result<Standing, StoreError> {
        let since = time(self.since)?;
        match self.how.as_str() {
            "deactivated" => Ok(Standing::Deactivated { since }),
            "deleted" => Ok(Standing::Deleted { since }),
            _ => Err(corrupt("a standing")),
        }
    }
}

impl From<&domain::Organization> for Organization {
    fn from(organization: &domain::Organization) -> Self {
        Self {
            v: V,
            slug: organization.slug.to_string(),
            display: organization.display_name.clone(),
            aliases: organization.aliases.clone(),
            managed: organization.managed,
            created: organization.created_at.map(millis),
            owners: organization.owners.iter().map(PersonId::to_string).collect(),
            unowned: organization.unowned_since.map(millis),
            removals: counts(&organization.removals),
            invited: counts(&organization.invited),
        }
    }
}

impl Organization {
    pub fn into_domain(self, id: OrganizationId) -> Result<domain::Organization, StoreError> {
        let owner = |text: &String| person(text);
        Ok(domain::Organization {
            id,
            slug: slug(&self.slug)?,
            display_name: self.display,
            aliases: self.aliases,
            managed: self.managed,
            created_at: self.created.map(time).transpose()?,
            owners: self.owners.iter().map(owner).collect::<Result<BTreeSet<_>, _>>()?,
            unowned_since: self.unowned.map(time).transpose()?,
            removals: all(self.removals, counted)?,
            invited: all(self.invited, counted)?,
        })
    }
}

impl From<&domain::Invitee> for Invitee {
    fn from(invitee: &domain::Invitee) -> Self {
        Self { v: V, invitations: invitee.invitations.iter().map(Invitation::from).collect() }
    }
}

impl Invitee {
    pub fn into_domain(self, address: AddressId) -> Result<domain::Invitee, StoreError> {
        Ok(domain::Invitee { address, invitations: all(self.invitations, Invitation::into_domain)? })
    }
}

impl From<&domain::Membership> for Membership {
    fn from(membership: &domain::Membership) -> Self {
        let pin = |pin: domain::Pin| Pin { by: pin.reason.as_str().to_owned(), since: millis(pin.since) };
        let held =
            |held: &domain::HeldRemoval| Held { since: millis(held.since), batch: held.batch.to_string() };
        Self {
            org: membership.organization.to_string(),
            role: membership.role.as_str().to_owned(),
            source: membership.source.as_str().to_owned(),
            since: millis(membership.since),
            pin: membership.pin.map(pin),
            held: membership.held.as_ref().map(held),
        }
    }
}

impl Membership {
    fn into_domain(self) -> Result<domain::Membership, StoreError> {
        let pin = |pin: Pin| {
            let reason = named(PinReason::ALL, PinReason::as_str, &pin.by);
            Ok(domain::Pin { reason: reason.ok_or_else(|| corrupt("a pin"))?, since: time(pin.since)? })
        };
        let held = |held: Held| {
            Ok::<_, StoreError>(domain::HeldRemoval { since: time(held.since)?, batch: batch(&held.batch)? })
        };
        Ok(domain::Membership {
            organization: slug(&self.org)?,
            role: role(&self.role)?,
            source: source(&self.source)?,
            since: time(self.since)?,
            pin: self.pin.map(pin).transpose()?,
            held: self.held.map(held).transpose()?,
        })
    }
}

impl From<&domain::FormerMembership> for Former {
    fn from(former: &domain::FormerMembership) -> Self {
        Self {
            org: former.organization.to_string(),
            role: former.role.as_str().to_owned(),
            source: former.source.as_str().to_owned(),
            since: millis(former.since),
            ended: millis(former.ended_at),
            batch: former.batch.to_string(),
        }
    }
}

impl Former {
    fn into_domain(self) -> Result<domain::FormerMembership, StoreError> {
        Ok(domain::FormerMembership {
            organization: slug(&self.org)?,
            role: role(&self.role)?,
            source: source(&self.source)?,
            since: time(self.since)?,
            ended_at: time(self.ended)?,
            batch: batch(&self.batch)?,
        })
    }
}

impl From<&domain::AccessToken> for Token {
    fn from(token: &domain::AccessToken) -> Self {
        Self {
            id: token.id.to_string(),
            hash: hex(&token.secret),
            name: token.name.clone(),
            orgs: token.organizations.iter().map(OrganizationSlug::to_string).collect(),
            scopes: token.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            last_eight: token.last_eight.clone(),
            created: millis(token.created_at),
            expires: millis(token.expires_at),
        }
    }
}

impl Token {
    fn into_domain(self) -> Result<domain::AccessToken, StoreError> {
        let scope = |text: String| named(Scope::ALL, Scope::as_str, &text).ok_or_else(|| corrupt("a scope"));
        Ok(domain::AccessToken {
            id: TokenId::parse(&self.id).ok_or_else(|| corrupt("a token's id"))?,
            secret: digest(&self.hash)?,
            name: self.name,
            organizations: all(self.orgs, |text| slug(&text))?,
            scopes: all(self.scopes, scope)?,
            last_eight: self.last_eight,
            created_at: time(self.created)?,
            expires_at: time(self.expires)?,
        })
    }
}

impl From<&domain::TokenHolder> for TokenHolder {
    fn from(holder: &domain::TokenHolder) -> Self {
        Self {
            v: V,
            enterprise: holder.enterprise.to_string(),
            enterprise_id: holder.enterprise_id.to_string(),
            person: holder.person.to_string(),
            token: holder.token.to_string(),
            used: holder.last_used_at.map(millis),
        }
    }
}

impl TokenHolder {
    pub fn into_domain(self) -> Result<domain::TokenHolder, StoreError> {
        Ok(domain::TokenHolder {
            enterprise: enterprise(&self.enterprise)?,
            enterprise_id: EnterpriseId::parse(&self.enterprise_id)
                .ok_or_else(|| corrupt("an enterprise id"))?,
            person: person(&self.person)?,
            token: TokenId::parse(&self.token).ok_or_else(|| corrupt("a token's id"))?,
            last_used_at: self.used.map(time).transpose()?,
        })
    }
}

impl From<&domain::Invitation> for Invitation {
    fn from(invitation: &domain::Invitation) -> Self {
        Self {
            id: invitation.id.to_string(),
            org: invitation.organization.to_string(),
            role: invitation.role.as_str().to_owned(),
            source: invitation.source.as_str().to_owned(),
            email: invitation.email.clone(),
            person: invitation.person.map(|id| id.to_string()),
            inviter: invitation.inviter.map(|id| id.to_string()),
            invited: millis(invitation.invited_at),
            expires: invitation.expires_at.map(millis),
            hash: hex(&invitation.secret),
            sent: invitation.sent,
            sent_at: millis(invitation.sent_at),
            undeliverable: invitation.undeliverable_since.map(millis),
        }
    }
}

impl Invitation {
    fn into_domain(self) -> Result<domain::Invitation, StoreError> {
        let source = named(InvitationSource::ALL, InvitationSource::as_str, &self.source);
        Ok(domain::Invitation {
            id: InvitationId::parse(&self.id).ok_or_else(|| corrupt("an invitation id"))?,
            organization: slug(&self.org)?,
            role: role(&self.role)?,
            source: source.ok_or_else(|| corrupt("a source"))?,
            email: self.email,
            person: self.person.as_deref().map(person).transpose()?,
            inviter: self.inviter.as_deref().map(person).transpose()?,
            invited_at: time(self.invited)?,
            expires_at: self.expires.map(time).transpose()?,
            secret: digest(&self.hash)?,
            sent: self.sent,
            sent_at: time(self.sent_at)?,
            undeliverable_since: self.undeliverable.map(time).transpose()?,
        })
    }
}

fn all<From, To>(
    list: Vec<From>,
    one: impl Fn(From) -> Result<To, StoreError>,
) -> Result<Vec<To>, StoreError> {
    list.into_iter().map(one).collect()
}

fn counts(counts: &[(domain::Timestamp, u32)]) -> Vec<(i64, u32)> {
    counts.iter().map(|(at, count)| (millis(*at), *count)).collect()
}

fn counted((at, count): (i64, u32)) -> Result<(domain::Timestamp, u32), StoreError> {
    Ok((time(at)?, count))
}

fn source(text: &str) -> Result<MembershipSource, StoreError> {
    named(MembershipSource::ALL, MembershipSource::as_str, text).ok_or_else(|| corrupt("a source"))
}

pub(super) fn role(text: &str) -> Result<Role, StoreError> {
    named(Role::ALL, Role::as_str, text).ok_or_else(|| corrupt("a role"))
}

/// The one of `known` that is written as `text`.
fn named<T: Copy, const N: usize>(known: [T; N], word: fn(T) -> &'static str, text: &str) -> Option<T> {
    known.into_iter().find(|one| word(*one) == text)
}

pub(super) fn slug(text: &str) -> Result<OrganizationSlug, StoreError> {
    OrganizationSlug::parse(text).map_err(|_| corrupt("an organization's name"))
}

pub(super) fn person(text: &str) -> Result<PersonId, StoreError> {
    PersonId::parse(text).ok_or_else(|| corrupt("a person's id"))
}

fn batch(text: &str) -> Result<BatchId, StoreError> {
    BatchId::parse(text).ok_or_else(|| corrupt("a batch"))
}

pub(super) fn digest(text: &str) -> Result<[u8; 32], StoreError> {
    parse_hex(text).ok_or_else(|| corrupt("a hash"))
}
