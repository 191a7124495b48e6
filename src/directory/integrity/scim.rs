//! SCIM users and groups: names and indexes against records, both sides of who is in which group, links against people.
use super::{Fact, Said, Slip, Walk};
use crate::{
    directory::scim::index,
    domain::{EnterpriseId, OrganizationId, PersonId, ScimGroup, ScimUser, hex},
    store::{Key, Op, Reply, StoreError, Whole, records},
};

/// People who are looked up in one step.
const PEOPLE_PER_STEP: usize = 512;

impl Walk {
    /// A record; `false` if it is none of SCIM's.
    pub(super) fn see_scim(&mut self, key: Key, value: &[u8]) -> Result<bool, StoreError> {
        match key {
            Key::ScimUser(e, id) => {
                let user = records::decode_scim_user(id, value)?;
                self.see_scim_user(e, &user)?;
            }
            Key::ScimUserGroups(e, id) => {
                for of in records::decode_scim_user_groups(value)? {
                    let parts: [&[u8]; 3] = [e.as_bytes(), of.group.as_bytes(), id.as_bytes()];
                    self.say(Fact::ScimMember, &parts, Said::ByRecord);
                }
            }
            Key::ScimGroup(e, id) => {
                let group = records::decode_scim_group(id, value)?;
                self.see_scim_group(e, &group)?;
            }
            Key::ScimGroupJob(e, id) => {
                if records::decode_scim_group_job(value)?.is_some() {
                    self.say(Fact::ScimJob, &[e.as_bytes(), id.as_bytes()], Said::ByRecord);
                }
            }
            Key::ScimUserName(..) | Key::ScimGroupName(..) => {
                let id = records::decode_scim_id(value)?;
                self.say(Fact::ScimName, &[key.text().as_bytes(), id.as_bytes()], Said::ByIndex);
            }
            Key::ScimLink(e, person) => {
                let id = records::decode_scim_id(value)?;
                self.say(Fact::ScimName, &[key.text().as_bytes(), id.as_bytes()], Said::ByIndex);
                self.linked.push((e, person));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A member of a set; `false` if the set is none of SCIM's.
    pub(super) fn see_scim_member(&mut self, key: Key, member: &[u8]) -> bool {
        let (fact, length) = match key {
            Key::ScimUsers(_) | Key::ScimGroups(_) => (Fact::ScimListed, 24),
            Key::ScimExternalId(..) | Key::ScimEmail(..) | Key::ScimGroupExternalId(..) => {
                (Fact::ScimIndexed, 16)
            }
            Key::ScimGroupMembers(..) => (Fact::ScimMember, 16),
            Key::ScimJobs(_) => (Fact::ScimJob, 16),
            Key::ScimOrganizations(_) => (Fact::ScimOrganization, 32),
            _ => return false,
        };
        if member.len() != length {
            let hint = "portcullis check --store --repair removes it from the set";
            let why = "it has a member of another length than its kind";
            let slip = Slip::Stray { set: key.text(), member: member.to_vec() };
            self.report.slip(key.text(), why, hint, Some(slip));
            return true;
        }
        match key {
            Key::ScimGroupMembers(e, group) => {
                self.say(fact, &[e.as_bytes(), group.as_bytes(), member], Said::ByIndex);
            }
            Key::ScimJobs(e) | Key::ScimOrganizations(e) => {
                self.say(fact, &[e.as_bytes(), member], Said::ByIndex);
            }
            _ => self.say(fact, &[key.text().as_bytes(), member], Said::ByIndex),
        }
        true
    }

    fn see_scim_user(&mut self, e: EnterpriseId, user: &ScimUser) -> Result<(), StoreError> {
        let listed = records::encode_scim_created(user.created_at, user.id);
        self.say_of(Fact::ScimListed, Key::ScimUsers(e), &listed);
        let found = index::of_user(e, user)?;
        for name in found.names {
            self.say_of(Fact::ScimName, name, user.id.as_bytes());
        }
        for set in found.sets {
            self.say_of(Fact::ScimIndexed, set, user.id.as_bytes());
        }
        Ok(())
    }

    fn see_scim_group(&mut self, e: EnterpriseId, group: &ScimGroup) -> Result<(), StoreError> {
        let listed = records::encode_scim_created(group.created_at, group.id);
        self.say_of(Fact::ScimListed, Key::ScimGroups(e), &listed);
        let found = index::of_group(e, group)?;
        for name in found.names {
            self.say_of(Fact::ScimName, name, group.id.as_bytes());
        }
        for set in found.sets {
            self.say_of(Fact::ScimIndexed, set, group.id.as_bytes());
        }
        if let Some(slug) = &group.organization {
            let organization = OrganizationId::of(e, slug);
            let parts: [&[u8]; 3] = [e.as_bytes(), organization.as_bytes(), group.id.as_bytes()];
            self.say(Fact::ScimOrganization, &parts, Said::ByRecord);
        }
        Ok(())
    }

    fn say_of(&mut self, fact: Fact, key: Key, member: &[u8]) {
        self.say(fact, &[key.text().as_bytes(), member], Said::ByRecord);
    }

    /// Whoever a user is linked to has a record: it alone keeps out whom SCIM put out.
    pub(super) async fn check_linked(&mut self, store: &dyn Whole) -> Result<(), StoreError> {
        let linked: Vec<(EnterpriseId, PersonId)> = std::mem::take(&mut self.linked);
        for people in linked.chunks(PEOPLE_PER_STEP) {
            let gets = people.iter().map(|(e, person)| Op::Get(Key::Person(*e, *person))).collect();
            for ((e, person), reply) in people.iter().zip(store.batch(self.now, gets).await?) {
                if reply == Reply::Value(None) {
                    let why = "a SCIM user is linked to a person without a record";
                    let hint = "let the identity provider delete the user and provision it again";
                    self.report.fault(Key::ScimLink(*e, *person).text(), why, hint);
                }
            }
        }
        Ok(())
    }
}

/// The ids of a fact of SCIM, as they are told: texts of keys are told as they are.
pub(super) fn shown(ids: &[u8]) -> String {
    let text: String =
        ids.iter().take_while(|byte| byte.is_ascii_graphic()).map(|byte| char::from(*byte)).collect();
    match (Key::parse(&text), ids.get(text.len()..)) {
        (Some(_), Some(rest)) => format!("{text} {}", hex(rest)),
        _ => ids.chunks(16).map(hex).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ScimId;

    #[test]
    fn keys_are_told_as_they_are() {
        let key = Key::ScimUsers(EnterpriseId::from_bytes([1; 16])).text();
        let id = ScimId::from_bytes([0xfe; 16]);
        assert_eq!(shown(&[key.as_bytes(), id.as_bytes()].concat()), format!("{key} {}", "fe".repeat(16)));
        assert_eq!(shown(&[0; 16]), "0".repeat(32));
    }
}
