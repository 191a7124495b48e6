//! Where the primary is, as the sentinels say.
//!
//! All are asked, and the one that knows of the latest failover is believed: a sentinel that was cut off, and an old primary
//! beside it, cannot call us back to what the others have left.
use std::{collections::HashMap, time::Duration};

use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ProtocolVersion, RedisConnectionInfo, cmd,
};
use tokio::task::JoinSet;

use super::errors::store_error;
use crate::store::StoreError;

/// A sentinel that takes longer is passed over.
const ANSWER_MILLIS_MAX: u64 = 1_000;

pub(super) struct Sentinels {
    asked: Vec<ConnectionInfo>,
    /// The name of the primary, as they know it.
    primary: String,
    /// TLS, user, password and database for whichever server it is.
    template: ConnectionInfo,
}

/// What one sentinel says.
struct Said {
    config_epoch: u64,
    host: String,
    port: u16,
}

impl Sentinels {
    pub fn new(settings: &super::Sentinel, template: ConnectionInfo) -> Self {
        let mut own =
            RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name();
        if let Some(user) = &settings.user {
            own = own.set_username(user);
        }
        if let Some(password) = &settings.password {
            own = own.set_password(password);
        }
        let sentinel = template.clone().set_redis_settings(own);
        let asked =
            settings.sentinels.iter().map(|(host, port)| at(&sentinel, host.clone(), *port)).collect();
        Self { asked, primary: settings.primary.clone(), template }
    }

    /// Asks all of them; fails if none answers.
    pub async fn find(&self) -> Result<ConnectionInfo, StoreError> {
        let mut asked = JoinSet::new();
        for sentinel in &self.asked {
            let (sentinel, name) = (sentinel.clone(), self.primary.clone());
            let limit = Duration::from_millis(ANSWER_MILLIS_MAX);
            asked.spawn(async move { tokio::time::timeout(limit, ask(sentinel, name)).await });
        }
        let mut latest: Option<Said> = None;
        let mut why = StoreError::Unavailable("no sentinel answers".into());
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(Ok(said))) if latest.as_ref().is_none_or(|l| said.config_epoch > l.config_epoch) => {
                    latest = Some(said);
                }
                Ok(Ok(Err(error))) => why = error,
                // One that says what another said, one that hangs, or a task that was cancelled with us.
                Ok(_) | Err(_) => {}
            }
        }
        let said = latest.ok_or(why)?;
        Ok(at(&self.template, said.host, said.port))
    }
}

/// The same credentials and TLS at another address.
pub(super) fn at(template: &ConnectionInfo, host: String, port: u16) -> ConnectionInfo {
    let address = match template.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        ConnectionAddr::Tcp(..) | ConnectionAddr::Unix(_) | _ => ConnectionAddr::Tcp(host, port),
    };
    template.clone().set_addr(address)
}

async fn ask(sentinel: ConnectionInfo, name: String) -> Result<Said, StoreError> {
    let client = Client::open(sentinel).map_err(|error| store_error(&error))?;
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let connection = client.get_multiplexed_async_connection_with_config(&config).await;
    let mut connection = connection.map_err(|error| store_error(&error))?;
    let mut question = cmd("SENTINEL");
    question.arg("MASTER").arg(&name);
    let fields: HashMap<String, String> =
        question.query_async(&mut connection).await.map_err(|error| store_error(&error))?;
    read(&fields).ok_or_else(|| StoreError::Corrupt("a sentinel's answer lacks the primary's address".into()))
}

fn read(fields: &HashMap<String, String>) -> Option<Said> {
    Some(Said {
        config_epoch: fields.get("config-epoch")?.parse().ok()?,
        host: fields.get("ip").filter(|host| !host.is_empty())?.clone(),
        port: fields.get("port")?.parse().ok()?,
    })
}
