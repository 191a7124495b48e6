//! Every key that a configuration may hold: its path, its kind, its range.
//!
//! The one list that unknown keys, types, ranges and environment names are judged by. Paths are dotted; `*` stands
//! for a name that the operator chose: an enterprise's account name or a route's.

/// What a key may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number from the first to the second, both included.
    Integer(u64, u64),
    Switch,
    /// A number and a unit, such as `"8h"`; the range is in seconds, both ends included.
    Duration(u64, u64),
    Texts,
    /// A list of texts, or the text `"*"`.
    TextsOrAll,
    /// A list of `{ group, organization, role, match }`.
    Mappings,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    pub path: &'static str,
    pub kind: Kind,
}

const fn key(path: &'static str, kind: Kind) -> Key {
    Key { path, kind }
}

const HOUR_SECONDS: u64 = 3600;
const DAY_SECONDS: u64 = 24 * HOUR_SECONDS;

/// All keys.
pub const KEYS: &[Key] = &[
    key("mode", Kind::Choice(&["development", "production"])),
    key("public_url", Kind::Text),
    key("listen.public", Kind::Text),
    key("listen.private", Kind::Text),
    key("listen.workers", Kind::Integer(0, 1024)),
    key("limits.header_bytes_max", Kind::Integer(1024, 1024 * 1024)),
    key("limits.header_read_ms_max", Kind::Integer(100, 120_000)),
    key("limits.acs_body_bytes_max", Kind::Integer(4096, 4 * 1024 * 1024)),
    key("limits.acs_body_read_ms_max", Kind::Integer(100, 120_000)),
    key("limits.sign_in_seconds_max", Kind::Integer(30, DAY_SECONDS)),
    key("limits.pending_sign_ins_max", Kind::Integer(1, 64)),
    key("limits.api_calls_per_minute", Kind::Integer(0, 1_000_000)),
    key("limits.api_strangers_per_minute", Kind::Integer(0, 1_000_000)),
    key("session.idle", Kind::Duration(60, 90 * DAY_SECONDS)),
    key("session.lifetime", Kind::Duration(60, 90 * DAY_SECONDS)),
    key("tokens.session_age_max", Kind::Duration(60, DAY_SECONDS)),
    key("tokens.lifetime_max", Kind::Duration(HOUR_SECONDS, 365 * DAY_SECONDS)),
    key("api.own_host", Kind::Switch),
    key("store.kind", Kind::Choice(&["embedded", "redis"])),
    key("store.path", Kind::Text),
    key("store.url", Kind::Text),
    key("store.url_file", Kind::Text),
    key("store.timeout_ms", Kind::Integer(10, 60_000)),
    key("store.sentinels", Kind::Texts),
    key("store.primary", Kind::Text),
    key("store.sentinel_user", Kind::Text),
    key("store.sentinel_password", Kind::Text),
    key("store.sentinel_password_file", Kind::Text),
    key("store.cluster", Kind::Texts),
    key("store.wait_replicas", Kind::Integer(0, 16)),
    key("store.wait_ms", Kind::Integer(1, 60_000)),
    key("store.integrity_key_files", Kind::Texts),
    key("pages.folder", Kind::Text),
    key("mail.host", Kind::Text),
    key("mail.port", Kind::Integer(1, 65_535)),
    key("mail.tls", Kind::Choice(&["implicit", "starttls", "none"])),
    key("mail.user", Kind::Text),
    key("mail.password", Kind::Text),
    key("mail.password_file", Kind::Text),
    key("mail.from", Kind::Text),
    key("mail.reply_to", Kind::Text),
    key("mail.timeout", Kind::Duration(1, 120)),
    key("mail.ca", Kind::Text),
    key("mail.templates", Kind::Text),
    key("mail.notices", Kind::Switch),
    key("log.format", Kind::Choice(&["text", "json"])),
    key("log.level", Kind::Text),
    key("audit.retention_days", Kind::Integer(1, 36_500)),
    key("audit.sink", Kind::Text),
    key("audit.webhook.*.url", Kind::Text),
    key("audit.webhook.*.secrets", Kind::Texts),
    key("audit.webhook.*.secret_files", Kind::Texts),
    key("audit.webhook.*.events", Kind::Texts),
    key("audit.webhook.*.enterprises", Kind::TextsOrAll),
    key("audit.webhook.*.internal_networks", Kind::Texts),
    key("audit.webhook.*.ca", Kind::Text),
    key("proxy.connect_ms_max", Kind::Integer(10, 120_000)),
    key("proxy.response_head_ms_max", Kind::Integer(10, 3_600_000)),
    key("proxy.idle_connections_max", Kind::Integer(0, 65_536)),
    key("proxy.idle_connection_seconds_max", Kind::Integer(1, HOUR_SECONDS)),
    key("proxy.identity.user", Kind::Text),
    key("proxy.identity.email", Kind::Text),
    key("proxy.identity.groups", Kind::Text),
    key("proxy.identity.organizations", Kind::Text),
    key("proxy.identity.preferred_username", Kind::Text),
    key("proxy.identity.bytes_max", Kind::Integer(256, 65_536)),
    key("enterprise.*.provisioning", Kind::Switch),
    key("enterprise.*.deprovisioning", Kind::Switch),
    key("enterprise.*.max_removals", Kind::Integer(0, 1_000_000)),
    key("enterprise.*.break_glass", Kind::Texts),
    key("enterprise.*.missing_groups", Kind::Choice(&["ignore", "deny", "treat_as_empty"])),
    key("enterprise.*.last_owner", Kind::Choice(&["allow", "protect"])),
    key("enterprise.*.dry_run", Kind::Switch),
    key("enterprise.*.owners", Kind::Texts),
    key("enterprise.*.organizations", Kind::Texts),
    key("enterprise.*.managed", Kind::TextsOrAll),
    key("enterprise.*.mappings", Kind::Mappings),
    key("enterprise.*.email_domains", Kind::Texts),
    key("enterprise.*.saml.idp_entity_id", Kind::Text),
    key("enterprise.*.saml.sso_url", Kind::Text),
    key("enterprise.*.saml.sso_binding", Kind::Choice(&["redirect", "post"])),
    key("enterprise.*.saml.certificates", Kind::Texts),
    key("enterprise.*.saml.entity_id", Kind::Text),
    key("enterprise.*.saml.acs_url", Kind::Text),
    key("enterprise.*.saml.signed", Kind::Choice(&["either", "response", "assertion", "both"])),
    key("enterprise.*.saml.signing_keys", Kind::Texts),
    key("enterprise.*.saml.decryption_keys", Kind::Texts),
    key("enterprise.*.saml.sign_requests", Kind::Switch),
    key("enterprise.*.saml.force_authn", Kind::Switch),
    key("enterprise.*.saml.authn_context", Kind::Texts),
    key("enterprise.*.saml.name_id_format", Kind::Choice(&["any", "persistent", "email"])),
    key("enterprise.*.saml.idp_hint", Kind::Text),
    key("enterprise.*.saml.login_hint", Kind::Switch),
    key("enterprise.*.saml.idp_initiated", Kind::Switch),
    key("enterprise.*.saml.idp_initiated_targets", Kind::Texts),
    key("enterprise.*.saml.second_opinion", Kind::Switch),
    key("enterprise.*.saml.slo_url", Kind::Text),
    key("enterprise.*.saml.slo_response_url", Kind::Text),
    key("enterprise.*.saml.slo_binding", Kind::Choice(&["redirect", "post"])),
    key("enterprise.*.saml.encrypted", Kind::Switch),
    key("enterprise.*.saml.allow_padding_oracle_cbc", Kind::Switch),
    key("enterprise.*.saml.allow_bleichenbacher_rsa_1_5", Kind::Switch),
    key("enterprise.*.saml.clock_skew", Kind::Duration(0, 300)),
    key("enterprise.*.saml.subject", Kind::Text),
    key("enterprise.*.saml.metadata", Kind::Text),
    key("enterprise.*.saml.metadata_signing_certificates", Kind::Texts),
    key("enterprise.*.saml.metadata_trust", Kind::Choice(&["overlap", "tls"])),
    key("enterprise.*.saml.metadata_approved_keys", Kind::Texts),
    key("enterprise.*.saml.metadata_refresh", Kind::Duration(60, 7 * DAY_SECONDS)),
    key("enterprise.*.saml.metadata_validity", Kind::Duration(HOUR_SECONDS, 365 * DAY_SECONDS)),
    key("enterprise.*.saml.metadata_ca", Kind::Text),
    key("enterprise.*.saml.metadata_internal_networks", Kind::Texts),
    key("enterprise.*.saml.own_metadata_signed", Kind::Switch),
    key("enterprise.*.saml.own_metadata_validity", Kind::Duration(HOUR_SECONDS, 365 * DAY_SECONDS)),
    key("enterprise.*.attributes.groups", Kind::Texts),
    key("enterprise.*.attributes.email", Kind::Texts),
    key("enterprise.*.attributes.display_name", Kind::Texts),
    key("enterprise.*.attributes.preferred_username", Kind::Texts),
    key("enterprise.*.groups.name", Kind::Choice(&["value", "dn_leaf"])),
    key("enterprise.*.groups.pattern", Kind::Text),
    key("enterprise.*.scim.enabled", Kind::Switch),
    key("enterprise.*.scim.link", Kind::Choice(&["user_name", "external_id"])),
    key("enterprise.*.scim.unmatched_groups", Kind::Choice(&["refuse", "accept"])),
    key("enterprise.*.scim.on_group_delete", Kind::Choice(&["keep", "remove"])),
    key("enterprise.*.scim.reinvite", Kind::Switch),
    key("enterprise.*.scim.requests_per_second_max", Kind::Integer(50, 1_000_000)),
    key("route.*.path", Kind::Text),
    key("route.*.host", Kind::Text),
    key("route.*.origin", Kind::Text),
    key("route.*.public", Kind::Switch),
    key("route.*.enterprise", Kind::Text),
    key("route.*.enterprises", Kind::TextsOrAll),
    key("route.*.organizations", Kind::Texts),
    key("route.*.groups", Kind::Texts),
    key("route.*.authn_context", Kind::Texts),
    key("route.*.tokens", Kind::Switch),
    key("route.*.sign_in_age_max", Kind::Duration(60, DAY_SECONDS)),
];

/// What stands at a path.
pub enum Step {
    Leaf(&'static Key),
    Table,
    Unknown,
}

/// Looks a path up.
pub fn step(path: &[&str]) -> Step {
    if let Some(key) = KEYS.iter().find(|key| leads(key, path) && key.path.split('.').count() == path.len()) {
        return Step::Leaf(key);
    }
    if KEYS.iter().any(|key| leads(key, path)) { Step::Table } else { Step::Unknown }
}

/// The names that may stand directly under `path`; empty where the operator chooses them.
pub fn children(path: &[&str]) -> Vec<&'static str> {
    let mut names: Vec<_> = KEYS
        .iter()
        .filter(|key| leads(key, path))
        .filter_map(|key| key.path.split('.').nth(path.len()))
        .filter(|name| *name != "*")
        .collect();
    names.dedup();
    names
}

/// The tables that hold a key of this name, with `NAME` for names that the operator chooses.
pub fn homes(name: &str) -> Vec<String> {
    let home = |key: &Key| {
        let (table, last) = key.path.rsplit_once('.').unwrap_or(("", key.path));
        (last == name).then(|| table.replace('*', "NAME"))
    };
    KEYS.iter().filter_map(home).collect()
}

/// Whether the first names of the key's path are `path`.
fn leads(key: &Key, path: &[&str]) -> bool {
    let mut pattern = key.path.split('.');
    path.iter().all(|name| pattern.next().is_some_and(|expected| expected == "*" || expected == *name))
}

/// The candidate that `name` was most likely meant to be, if one is near.
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A name longer than this is not compared: the cost is the product of the lengths.
const NAME_BYTES_MAX: usize = 100;

/// How many characters must be put in, left out or replaced to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > NAME_BYTES_MAX {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        let pairs = row.iter().zip(row.iter().skip(1)).zip(&b);
        for ((diagonal, above), to) in pairs {
            let left = next.last().copied().unwrap_or(0);
            next.push((diagonal + usize::from(from != *to)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_keys_tables_or_nowhere() {
        assert!(matches!(step(&["mode"]), Step::Leaf(_)));
        assert!(matches!(step(&["enterprise", "example", "saml", "signed"]), Step::Leaf(_)));
        assert!(matches!(step(&["enterprise", "example"]), Step::Table));
        assert!(matches!(step(&["enterprise", "example", "sso_url"]), Step::Unknown));
        assert!(matches!(step(&["mode", "x"]), Step::Unknown));
        assert_eq!(children(&["listen"]), ["public", "private", "workers"]);
        assert_eq!(homes("sso_url"), ["enterprise.NAME.saml"]);
    }

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("publci_url", ["mode", "public_url"]), Some("public_url"));
        assert_eq!(nearest("colour", ["mode", "public_url"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    /// Else `enterprise.a.saml.x` and `enterprise.a-saml.x` would share an environment variable.
    #[test]
    fn no_key_of_a_named_table_ends_in_another() {
        let rests: Vec<String> = KEYS
            .iter()
            .filter_map(|key| key.path.split_once(".*."))
            .map(|(home, rest)| format!("{home}/{}", rest.replace('.', "_")))
            .collect();
        for a in &rests {
            for b in &rests {
                let (home, rest) = b.split_once('/').unwrap();
                assert!(!(a.starts_with(home) && a.ends_with(&format!("_{rest}"))), "{a} ends in {b}");
            }
        }
    }
}
