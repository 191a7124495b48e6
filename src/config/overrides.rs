//! The environment's say in the configuration: `PORTCULLIS_` and the key's path in upper snake case.
use std::{collections::BTreeMap, fmt};

/// What every variable's name begins with.
pub const PREFIX: &str = "PORTCULLIS_";
/// Names the configuration file; read by the command line, no key of the file itself.
pub const CONFIG_VARIABLE: &str = "PORTCULLIS_CONFIG";

/// Values by the name of their variable. The demo and tests make their own; a server reads the environment.
#[derive(Clone, Default)]
pub struct Overrides(BTreeMap<String, String>);

impl Overrides {
    /// Every `PORTCULLIS_` variable of the process. A value that is no UTF-8 is taken with replacement characters.
    pub fn from_env() -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        Self::from_variables(variables)
    }

    /// Those of the variables that speak to the configuration.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let speaks =
            |name: &str| name.starts_with(PREFIX) && name != CONFIG_VARIABLE && !is_service_link(name);
        Self(variables.into_iter().filter(|(name, _)| speaks(name)).collect())
    }

    /// Sets the key at a dotted path, as its environment variable would.
    pub fn set(mut self, path: &str, value: impl Into<String>) -> Self {
        self.0.insert(Self::variable(path), value.into());
        self
    }

    /// The environment variable of the key at a dotted path: `store.url` is `PORTCULLIS_STORE_URL`.
    pub fn variable(path: &str) -> String {
        format!("{PREFIX}{}", path.replace(['.', '-'], "_").to_ascii_uppercase())
    }

    /// The names of the variables, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Values may be secrets: only names are shown.
impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Kubernetes gives every pod such variables for a Service named `portcullis`; they are nobody's typing error.
fn is_service_link(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or(name);
    let port = |rest: &str| rest.is_empty() || rest.starts_with('_');
    rest == "SERVICE_HOST"
        || rest.strip_prefix("SERVICE_PORT").is_some_and(port)
        || rest.strip_prefix("PORT").is_some_and(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(names: &[&str]) -> Vec<String> {
        let variables = names.iter().map(|name| ((*name).to_owned(), "secret".to_owned()));
        Overrides::from_variables(variables).iter().map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn only_variables_that_speak_to_the_configuration_are_kept() {
        assert_eq!(
            kept(&["PATH", "PORTCULLIS_MODE", CONFIG_VARIABLE, "PORTCULLIS_X"]),
            ["PORTCULLIS_MODE", "PORTCULLIS_X"]
        );
        let links = [
            "PORTCULLIS_SERVICE_HOST",
            "PORTCULLIS_SERVICE_PORT_HTTP",
            "PORTCULLIS_PORT",
            "PORTCULLIS_PORT_80_TCP",
        ];
        assert!(kept(&links).is_empty());
    }

    #[test]
    fn paths_become_variables() {
        assert_eq!(
            Overrides::variable("enterprise.octo-corp.saml.sso_url"),
            "PORTCULLIS_ENTERPRISE_OCTO_CORP_SAML_SSO_URL"
        );
    }

    #[test]
    fn values_are_not_shown() {
        let shown = format!("{:?}", Overrides::default().set("store.url", "hunter2"));
        assert!(shown.contains("PORTCULLIS_STORE_URL") && !shown.contains("hunter2"));
    }
}
