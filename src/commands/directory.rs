//! The directory over a configuration's store, for commands that look into it.
use crate::{
    config::{EnterpriseSettings, Settings},
    directory::Directory,
    domain::{EnterpriseId, PersonId, StableId},
    saml::SubjectKey,
    store,
    telemetry::Metrics,
};

/// Opens the store of the configuration; else why it is not at hand, as `what: why: how to mend it`. Looking leaves no empty
/// store behind.
pub async fn open(settings: &Settings) -> Result<Directory, String> {
    if let store::Settings::Embedded(embedded) = &settings.store
        && !embedded.path.exists()
    {
        return Err(format!("store: {} is not there: {HINT}", embedded.path.display()));
    }
    let store = store::open(&settings.store).await.map_err(|error| broken(&error))?;
    let directory = Directory::new(store, settings.session.clone(), Metrics::new());
    directory.set_token_settings(settings.tokens.clone());
    Ok(directory)
}

const HINT: &str =
    "the store of the configuration must be reachable; stop the gateway if it holds an embedded one";

/// What the store's error means for whoever ran the command.
pub fn broken(error: &dyn std::fmt::Display) -> String {
    format!("store: {error}: {HINT}")
}

/// The person of an id as the log shows it, or of the value that identifies people at the enterprise's IdP.
pub fn person_id(enterprise: &EnterpriseSettings, text: &str) -> PersonId {
    PersonId::parse(text).unwrap_or_else(|| {
        let value = text.to_owned();
        let stable_id = match &enterprise.saml.subject {
            SubjectKey::NameId => StableId::NameId(value),
            SubjectKey::Attribute(name) => StableId::Attribute { name: name.clone(), value },
        };
        PersonId::of_stable_id(EnterpriseId::of(&enterprise.slug), &enterprise.saml.idp_entity_id, &stable_id)
    })
}
