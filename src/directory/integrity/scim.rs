//! SCIM users and groups: names and indexes against records, both sides of who is in which group, links against people.
use std::collections::BTreeSet;

use super::{Fact, Said, Slip, Walk};
use crate::{
    directory::scim::index,
    domain::{EnterpriseId, OrganizationId, OrganizationSlug, PersonId, ScimGroup, ScimId, ScimUser, hex},
    store::{Key, Op, Reply, StoreError, Whole, records},
};

/// People who are looked up in one step.
const PEOPLE_PER_STEP: usize = 512;
/// Groups that are looked up in one step, each by two records.
const GROUPS_PER_STEP: usize = 256;

/// What users' records say of the groups that they are in.
#[derive(Default)]
pub(super) struct Grouped {
    users: Vec<(EnterpriseId, ScimId)>,
    groups: BTreeSet<(EnterpriseId, ScimId, Option<OrganizationSlug>)>,
}

impl Walk {
    /// A record; `false` if it is none of SCIM's.
    pub(super) fn see_scim(&mut self, key: Key, value: &[u8]) -> Result<bool, StoreError> {
        match key {
            Key::ScimUser(e, id) => {
                let user = records::decode_scim_user(id, value)?;
                self.see_scim_user(e, &user)?;
            }
            Key::ScimUserGroups(e, id) => {
                let groups = records::decode_scim_user_groups(value)?;
                self.grouped.users.extend((!groups.is_empty()).then_some((e, id)));
                for of in groups {
                    let parts: [&[u8]; 3] = [e.as_bytes(), of.group.as_bytes(), id.as_bytes()];
                    self.say(Fact::ScimMember, &parts, Said::ByRecord);
                    self.grouped.groups.insert((e, of.group, of.organization));
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

    /// Whoever is in a group is there, and so is the group, unless a gateway is about to take its members out; and both say the
    /// same of what it corresponds to (A7).
    pub(super) async fn check_grouped(&mut self, store: &dyn Whole) -> Result<(), StoreError> {
        let Grouped { users, groups } = std::mem::take(&mut self.grouped);
        for users in users.chunks(PEOPLE_PER_STEP) {
            let gets = users.iter().map(|(e, id)| Op::Get(Key::ScimUser(*e, *id))).collect();
            for ((e, id), reply) in users.iter().zip(store.batch(self.now, gets).await?) {
                if reply == Reply::Value(None) {
                    let why = "it is in groups and there is no such SCIM user";
                    self.report.fault(Key::ScimUserGroups(*e, *id).text(), why, RESTORE);
                }
            }
        }
        let groups: Vec<_> = groups.into_iter().collect();
        for groups in groups.chunks(GROUPS_PER_STEP) {
            let keys =
                groups.iter().flat_map(|(e, id, _)| [Key::ScimGroup(*e, *id), Key::ScimGroupJob(*e, *id)]);
            let replies = store.batch(self.now, keys.map(Op::Get).collect()).await?;
            for ((e, id, organization), found) in groups.iter().zip(replies.chunks(2)) {
                if let Some(why) = grouped_wrongly(*id, organization.as_ref(), found) {
                    self.report.fault(Key::ScimGroupMembers(*e, *id).text(), why, RESTORE);
                }
            }
        }
        Ok(())
    }
}

const RESTORE: &str =
    "restore an export that is clean, or let the identity provider provision the group anew";

/// What is wrong with a group that users are in, by its record and its unfinished change; what cannot be read is told elsewhere.
fn grouped_wrongly(
    id: ScimId,
    organization: Option<&OrganizationSlug>,
    found: &[Reply],
) -> Option<&'static str> {
    let [Reply::Value(group), Reply::Value(job)] = found else { return None };
    let Some(group) = group else {
        let job = job.as_ref().map(|job| records::decode_scim_group_job(&job.value)).transpose().ok()?;
        let is_going = job.flatten().is_some_and(|job| job.deletes);
        return (!is_going).then_some("it has members and there is no such SCIM group");
    };
    let group = records::decode_scim_group(id, &group.value).ok()?;
    (group.organization.as_ref() != organization)
        .then_some("a member's record says that it corresponds to something else than the group's does")
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
