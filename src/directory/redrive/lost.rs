//! What one commit took away from a person, and how it is taken away again. Pure.
use crate::{
    domain::{OrganizationSlug, Person, Role, Standing, Timestamp, TokenId},
    provisioning::{Change, LastOwner, Plan, departure},
};

use crate::directory::{
    ActError,
    amend::{Decision, View},
    people::put_out,
};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lost {
    memberships: Vec<OrganizationSlug>,
    ownerships: Vec<OrganizationSlug>,
    /// The person was put out.
    standing: Option<Standing>,
    link: bool,
    tokens: Vec<TokenId>,
    authorizations: Vec<(TokenId, OrganizationSlug)>,
}

impl Lost {
    /// What the person had before and has no longer.
    pub fn between(before: &Person, after: &Person) -> Self {
        let owned = |person: &Person, organization: &OrganizationSlug| {
            person.membership(organization).is_some_and(|member| member.role == Role::Owner)
        };
        let names = before.memberships.iter().map(|member| &member.organization);
        let memberships = names.clone().filter(|name| after.membership(name).is_none());
        let ownerships = names.clone().filter(|name| {
            owned(before, name) && after.membership(name).is_some_and(|member| member.role != Role::Owner)
        });
        let kept = |id: TokenId| after.tokens.iter().find(|token| token.id == id);
        let tokens = before.tokens.iter().filter(|token| kept(token.id).is_none());
        let authorizations = before.tokens.iter().flat_map(|token| {
            let has = kept(token.id).map(|token| &token.organizations);
            let lost =
                token.organizations.iter().filter(move |one| has.is_some_and(|has| !has.contains(one)));
            lost.map(move |organization| (token.id, organization.clone()))
        });
        Self {
            memberships: memberships.cloned().collect(),
            ownerships: ownerships.cloned().collect(),
            standing: (before.standing.is_active() && !after.standing.is_active()).then_some(after.standing),
            link: before.linked_at.is_some() && after.linked_at.is_none(),
            tokens: tokens.map(|token| token.id).collect(),
            authorizations: authorizations.collect(),
        }
    }

    /// Whether the person may not come in at all.
    pub fn puts_out(&self) -> bool {
        self.standing.is_some()
    }

    /// Takes out what was given back since.
    pub fn forget(&mut self, before: &Person, after: &Person) {
        let given = Self::between(after, before);
        self.memberships.retain(|name| !given.memberships.contains(name));
        self.ownerships.retain(|name| !given.ownerships.contains(name) && !given.memberships.contains(name));
        self.authorizations.retain(|one| !given.authorizations.contains(one));
        if given.standing.is_some() {
            self.standing = None;
        }
        self.link &= !given.link;
    }

    /// What is to become of a person who may have it all again: it was taken away `at`, and what began later stays.
    pub fn again(&self, view: &View<'_>, at: Timestamp, now: Timestamp) -> Result<Decision, ActError> {
        let mut person = view.person.cloned().ok_or(ActError::UnknownPerson)?;
        // The store keeps milliseconds.
        let is_older = |time: Timestamp| time.as_millisecond() <= at.as_millisecond();
        let undecided =
            person.decided_at.is_none_or(|decided| decided.as_millisecond() < at.as_millisecond());
        if let Some(standing) = self.standing.filter(|_| person.standing.is_active() && undecided) {
            return put_out(person, view, standing, LastOwner::Allow, now);
        }
        let mut changes = vec![];
        for member in person.memberships.iter().filter(|member| is_older(member.since)) {
            let name = &member.organization;
            let left = departure(person.id, member, view.organizations.get(name)).changes;
            if self.memberships.contains(name) {
                changes.extend(left);
            } else if self.ownerships.contains(name) && member.role == Role::Owner {
                changes.push(Change::Demote { organization: name.clone() });
                changes.extend(left.into_iter().filter(|c| matches!(c, Change::BecomeUnowned { .. })));
            }
        }
        if self.link && person.linked_at.is_some_and(is_older) {
            person.linked_at = None;
            person.decided_at = Some(person.decided_at.map_or(at, |decided| decided.max(at)));
        }
        person.tokens.retain(|token| !self.tokens.contains(&token.id));
        for (id, organization) in &self.authorizations {
            let token = person.tokens.iter_mut().find(|token| token.id == *id);
            token.into_iter().for_each(|token| token.organizations.retain(|one| one != organization));
        }
        Ok(Decision { person, plan: Plan { changes } })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::{
        AccessToken, EnterpriseId, EnterpriseSlug, Membership, MembershipSource, NameId, PersonId, Profile,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn slug(text: &str) -> OrganizationSlug {
        OrganizationSlug::parse(text).unwrap()
    }

    fn token(id: u8, organizations: &[&str]) -> AccessToken {
        AccessToken {
            id: TokenId::from_bytes([id; 16]),
            secret: [id; 32],
            name: "script".into(),
            organizations: organizations.iter().map(|name| slug(name)).collect(),
            scopes: vec![],
            last_eight: String::new(),
            created_at: at(1),
            expires_at: at(1_000),
        }
    }

    /// Owns octo-org, belongs to docs-team, and has two tokens.
    fn somebody() -> Person {
        let member = |name, role| Membership::new(slug(name), role, MembershipSource::Saml, at(1));
        Person {
            id: PersonId::from_bytes([1; 16]),
            enterprise: EnterpriseId::of(&EnterpriseSlug::parse("example").unwrap()),
            standing: Standing::Active,
            linked_at: Some(at(1)),
            issuer: String::new(),
            name_id: NameId::default(),
            profile: Profile::default(),
            memberships: vec![member("docs-team", Role::Member), member("octo-org", Role::Owner)],
            former: vec![],
            tokens: vec![token(1, &["docs-team", "octo-org"]), token(2, &[])],
            last_groups: None,
            decided_at: None,
            created_at: at(1),
            last_sign_in_at: at(1),
        }
    }

    /// Everything that can be taken away without putting the person out.
    fn bereft() -> Person {
        let mut person = somebody();
        person.memberships.remove(0);
        person.memberships[0].role = Role::Member;
        person.linked_at = None;
        person.tokens = vec![token(1, &["octo-org"])];
        person
    }

    fn again(lost: &Lost, person: &Person) -> Decision {
        let organizations = BTreeMap::new();
        let view =
            View { person: Some(person), invitations: &[], actor: None, organizations: &organizations };
        lost.again(&view, at(100), at(200)).unwrap()
    }

    #[test]
    fn what_one_commit_took_away_is_known() {
        let lost = Lost::between(&somebody(), &bereft());
        let expected = Lost {
            memberships: vec![slug("docs-team")],
            ownerships: vec![slug("octo-org")],
            standing: None,
            link: true,
            tokens: vec![TokenId::from_bytes([2; 16])],
            authorizations: vec![(TokenId::from_bytes([1; 16]), slug("docs-team"))],
        };
        assert_eq!(lost, expected);
        assert_eq!(Lost::between(&bereft(), &somebody()), Lost::default(), "gains are no losses");
    }

    #[test]
    fn r_10_what_is_back_is_taken_away_again() {
        let lost = Lost::between(&somebody(), &bereft());
        let Decision { person, plan } = again(&lost, &somebody());
        let changes = [
            Change::Leave { organization: slug("docs-team"), role: Role::Member },
            Change::Demote { organization: slug("octo-org") },
            // As long as the organization's record is not known.
            Change::BecomeUnowned { organization: slug("octo-org") },
        ];
        assert_eq!(plan.changes, changes);
        assert_eq!((person.linked_at, person.decided_at), (None, Some(at(100))));
        assert_eq!(person.tokens, [token(1, &["octo-org"])]);
        // What is still gone needs nothing.
        let Decision { person, plan } = again(&lost, &bereft());
        assert!(plan.is_empty() && person == bereft());
    }

    #[test]
    fn what_began_later_stays() {
        let lost = Lost::between(&somebody(), &bereft());
        let mut later = somebody();
        later.memberships.iter_mut().for_each(|member| member.since = at(101));
        later.linked_at = Some(at(101));
        let Decision { person, plan } = again(&lost, &later);
        assert!(plan.is_empty(), "{plan:?}");
        assert_eq!(person.linked_at, Some(at(101)));
    }

    #[test]
    fn r_10_who_was_put_out_is_put_out_again_unless_somebody_decided_otherwise_later() {
        let mut out = bereft();
        out.standing = Standing::Deactivated { since: at(100) };
        let lost = Lost::between(&somebody(), &out);
        let Decision { person, plan } = again(&lost, &somebody());
        assert!(!person.standing.is_active() && person.tokens.is_empty());
        assert_eq!(plan.changes.iter().filter(|c| matches!(c, Change::Leave { .. })).count(), 2);
        let decided = Person { decided_at: Some(at(150)), ..somebody() };
        assert!(again(&lost, &decided).person.standing.is_active());
    }

    #[test]
    fn what_was_given_back_is_forgotten() {
        let mut lost = Lost::between(&somebody(), &bereft());
        lost.forget(&bereft(), &somebody());
        assert_eq!(lost, Lost { tokens: lost.tokens.clone(), ..Lost::default() });
        assert_eq!(lost.tokens.len(), 1, "a token is never given back");
    }
}
