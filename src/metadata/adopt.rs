//! Whether a document may take the place of the last good one (M-01, M-02, M-08), and until when it counts.
use super::{RefreshError, Settings, Source, Trust};
use crate::{
    domain::{IdpDocument, Timestamp},
    saml::{
        self, IdpMetadata, MetadataError,
        guard::{Guard, stands},
    },
};

/// A document that was taken, and its life.
#[derive(Debug, Clone)]
pub(super) struct Good {
    pub document: IdpDocument,
    pub metadata: IdpMetadata,
    /// After this nobody relies on it.
    pub until: Timestamp,
}

impl Good {
    /// Reads a document by the rules; says nothing yet about whether its keys may be trusted.
    pub fn read(settings: &Settings, document: IdpDocument, now: Timestamp) -> Result<Self, RefreshError> {
        let (rules, signers) = (&settings.rules, settings.signers.as_deref());
        let metadata = saml::read_metadata(document.text.as_bytes(), rules, signers, now)?;
        let until = moved(document.fetched_at, settings.validity_seconds_max);
        let until = metadata.valid_until().map_or(until, |said| said.min(until));
        if until <= now && stands(Guard::MetadataLife) {
            return Err(MetadataError::Expired { until: until.to_string() }.into());
        }
        Ok(Self { document, metadata, until })
    }

    /// A document that was just fetched, in the light of the last good one. One that names the same end as before has the
    /// same life as before, so that its alarms are not put off by every refresh.
    pub fn fetched(
        settings: &Settings,
        octets: Vec<u8>,
        last: Option<&Self>,
        now: Timestamp,
    ) -> Result<Self, RefreshError> {
        // What is no UTF-8 is refused by its own reason.
        let text = String::from_utf8(octets).unwrap_or_else(|error| {
            error
                .into_bytes()
                .iter()
                .map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{1}' })
                .collect()
        });
        let document = IdpDocument { text, fetched_at: now, since: now };
        let mut good = Self::read(settings, document, now)?;
        let said = good.metadata.valid_until().filter(|said| *said == good.until);
        if let Some(last) = last.filter(|last| said.is_some() && last.metadata.valid_until() == said) {
            good.document.since = last.document.since;
        }
        Ok(good)
    }

    /// Whether the keys of a document may be trusted (M-02). A pinned signer, a file of the operator's own, and TLS where the
    /// operator says so vouch for all of them. Else one must be known already, and only where none is known at all does
    /// TLS vouch for the first contact.
    pub fn check_keys(&self, settings: &Settings, known: &[&Self]) -> Result<(), RefreshError> {
        let vouched = settings.signers.is_some()
            || matches!(settings.source, Source::File(_))
            || settings.trust == Trust::Tls;
        let first_contact = known.is_empty() && settings.approved_keys.is_empty();
        if vouched || first_contact || !stands(Guard::MetadataKnownKeys) {
            return Ok(());
        }
        let approved = |fingerprint: &String| settings.approved_keys.contains(fingerprint);
        let held = |key: &String| known.iter().any(|good| good.metadata.key_fingerprints().contains(key));
        let certificates = self.metadata.fingerprints();
        let keys = self.metadata.key_fingerprints();
        if certificates.iter().any(approved) || keys.iter().any(|key| approved(key) || held(key)) {
            return Ok(());
        }
        Err(RefreshError::KeysUnknown { fingerprints: certificates.to_vec() })
    }

    /// Whether a sign-in would notice the difference.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let said = |good: &Self| {
            let metadata = &good.metadata;
            let endpoints = (metadata.single_sign_on().to_vec(), metadata.single_logout().to_vec());
            (metadata.certificates().to_vec(), endpoints, metadata.wants_requests_signed())
        };
        said(self) == said(other)
    }
}

/// `instant` moved by `seconds`, held within what a timestamp can say.
pub(super) fn moved(instant: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    instant.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saml::MetadataRules;

    const UNTIL_NOON: &str =
        include_str!("../../fixtures/saml/metadata/accept/M-01-valid-for-a-second-more.xml");
    const WITHOUT_END: &str = include_str!("../../fixtures/saml/metadata/accept/plain.xml");

    fn settings(validity_seconds_max: u64) -> Settings {
        let entity_id = Some("https://idp.example.com/metadata".into());
        Settings {
            source: Source::File("idp.xml".into()),
            rules: MetadataRules { entity_id, ..MetadataRules::default() },
            signers: None,
            trust: Trust::Overlap,
            approved_keys: vec![],
            refresh_seconds: 60,
            validity_seconds_max,
        }
    }

    fn at(time: &str) -> Timestamp {
        format!("2026-01-15T{time}Z").parse().unwrap()
    }

    fn fetched(text: &str, max: u64, last: Option<&Good>, time: &str) -> Good {
        Good::fetched(&settings(max), text.as_bytes().to_vec(), last, at(time)).unwrap()
    }

    #[test]
    fn m_01_the_life_is_bounded_by_what_is_said_and_by_the_settings() {
        assert_eq!(fetched(UNTIL_NOON, 86_400, None, "11:00:00").until, at("12:00:01"));
        assert_eq!(fetched(UNTIL_NOON, 60, None, "11:00:00").until, at("11:01:00"));
        assert_eq!(fetched(WITHOUT_END, 60, None, "11:00:00").until, at("11:01:00"));
        // What was stored is no better after its end than what is fetched.
        let stored = fetched(WITHOUT_END, 60, None, "11:00:00").document;
        assert!(Good::read(&settings(60), stored.clone(), at("11:00:59")).is_ok());
        let expired = Good::read(&settings(60), stored, at("11:01:00")).unwrap_err();
        assert_eq!(expired.code(), "metadata_expired");
    }

    #[test]
    fn m_01_a_refresh_that_brings_no_later_end_does_not_put_alarms_off() {
        let first = fetched(UNTIL_NOON, 86_400, None, "10:00:00");
        let again = fetched(UNTIL_NOON, 86_400, Some(&first), "11:00:00");
        assert_eq!((again.document.since, again.document.fetched_at), (at("10:00:00"), at("11:00:00")));
        // Where the settings bound the life, every refresh lengthens it.
        let first = fetched(UNTIL_NOON, 60, None, "10:00:00");
        assert_eq!(fetched(UNTIL_NOON, 60, Some(&first), "11:00:00").document.since, at("11:00:00"));
        let first = fetched(WITHOUT_END, 60, None, "10:00:00");
        assert_eq!(fetched(WITHOUT_END, 60, Some(&first), "11:00:00").document.since, at("11:00:00"));
    }

    #[test]
    fn what_is_no_utf_8_is_refused() {
        let error = Good::fetched(&settings(60), b"<a>\xff</a>".to_vec(), None, at("11:00:00")).unwrap_err();
        assert!(matches!(error, RefreshError::Metadata(MetadataError::Refused(_))), "{error:?}");
    }
}
