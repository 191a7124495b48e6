//! What stands around the gateway in the demo: the IdP, the origin server, a folder, and ports.
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use super::{DemoOptions, origin::Origin};
use crate::idp::{self, Directory, Idp};

const GATEWAY_PORT: u16 = 8080;
const IDP_PORT: u16 = 8081;
const ORIGIN_PORT: u16 = 8082;
const PRIVATE_PORT: u16 = 9090;
const FOLDER: &str = "portcullis-demo";

/// Which ports to use. Where none is given: one that is easily remembered if it is free, else any free one; a check
/// takes any free one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    pub gateway: Option<u16>,
    /// Of the gateway's private listener.
    pub private: Option<u16>,
    pub idp: Option<u16>,
    pub origin: Option<u16>,
}

/// Why the stage could not be set.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error("cannot listen on port {0} of this machine: {1}: stop what uses it, or choose another port")]
    Port(u16, io::Error),
    #[error("the identity provider did not start: {0}")]
    Idp(#[from] idp::BindError),
    #[error("cannot make the folder {0}: {1}: choose another with --folder")]
    Folder(PathBuf, io::Error),
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// The IdP and the origin server, running, and what a gateway between them must know.
pub struct Stage {
    /// Where browsers reach the gateway: `http://localhost:8080`. The IdP has another host (`127.0.0.1`), so that cookies
    /// are kept apart and the response comes from another site, as in earnest.
    pub gateway_url: String,
    /// On 127.0.0.1; was free a moment ago.
    pub gateway_port: u16,
    pub private_port: u16,
    pub idp_url: String,
    pub idp_entity_id: String,
    pub idp_sso_url: String,
    pub idp_slo_url: String,
    pub idp_certificate_pem: Vec<u8>,
    /// The people at the IdP.
    pub people: Directory,
    pub origin: SocketAddr,
    /// Exists; for the embedded store.
    pub folder: PathBuf,
    removes_folder: bool,
    stop: watch::Sender<bool>,
    tasks: JoinSet<io::Result<()>>,
}

impl Stage {
    /// Makes the folder and starts IdP and origin server.
    pub async fn set(options: &DemoOptions) -> Result<Self, StageError> {
        let any = options.check;
        let gateway_port = pick(options.ports.gateway, GATEWAY_PORT, any).await?;
        let idp_port = pick(options.ports.idp, IDP_PORT, any).await?;
        let settings = idp::Settings::development(here(idp_port));
        let idp_certificate_pem = settings.certificate_pem.clone();
        let idp = idp::bind(settings).await?;
        let origin_port = pick(options.ports.origin, ORIGIN_PORT, any).await?;
        let origin = Origin::bind(here(origin_port), idp.url())
            .await
            .map_err(|error| StageError::Port(origin_port, error))?;
        let private_port = pick(options.ports.private, PRIVATE_PORT, any).await?;
        let folder = folder(options)?;
        let mut stage = Self {
            gateway_url: format!("http://localhost:{gateway_port}"),
            gateway_port,
            private_port,
            idp_url: idp.url().into(),
            idp_entity_id: idp.entity_id().into(),
            idp_sso_url: idp.sso_url().into(),
            idp_slo_url: idp.slo_url(),
            idp_certificate_pem,
            people: idp.directory(),
            origin: origin.address(),
            folder,
            removes_folder: options.check,
            stop: watch::Sender::new(false),
            tasks: JoinSet::new(),
        };
        stage.serve(idp, origin);
        Ok(stage)
    }

    /// Stops IdP and origin server, and removes the folder if it was made for a check.
    pub async fn clear(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        if self.removes_folder
            && let Err(error) = std::fs::remove_dir_all(&self.folder)
        {
            tracing::warn!(folder = %self.folder.display(), %error, "the folder of the check stays");
        }
    }

    fn serve(&mut self, idp: Idp, origin: Origin) {
        let stopped = || {
            let mut stop = self.stop.subscribe();
            async move { drop(stop.wait_for(|stop| *stop).await) }
        };
        let (idp_stopped, origin_stopped) = (stopped(), stopped());
        self.tasks.spawn(idp.run(idp_stopped));
        self.tasks.spawn(origin.run(origin_stopped));
    }
}

fn here(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A port that can be listened on right now.
async fn pick(wanted: Option<u16>, usual: u16, any: bool) -> Result<u16, StageError> {
    let try_port = async |port: u16| {
        let listener = TcpListener::bind(here(port)).await.map_err(|error| StageError::Port(port, error))?;
        listener.local_addr().map(|address| address.port()).map_err(|error| StageError::Port(port, error))
    };
    match wanted {
        Some(port) => try_port(port).await,
        None if any => try_port(0).await,
        None => match try_port(usual).await {
            Ok(port) => Ok(port),
            Err(_) => try_port(0).await,
        },
    }
}

/// A check starts from nothing, so its folder is new; what people try stays.
fn folder(options: &DemoOptions) -> Result<PathBuf, StageError> {
    let folder = if options.check {
        let parent = options.folder.clone().unwrap_or_else(std::env::temp_dir);
        parent.join(format!("portcullis-check-{:016x}", getrandom::u64()?))
    } else {
        options.folder.clone().unwrap_or_else(|| FOLDER.into())
    };
    match std::fs::create_dir_all(&folder) {
        Ok(()) => Ok(folder),
        Err(error) => Err(StageError::Folder(folder, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ports() {
        let taken = TcpListener::bind(here(0)).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(matches!(pick(Some(port), 0, false).await, Err(StageError::Port(p, _)) if p == port));
        assert_ne!(pick(None, port, false).await.unwrap(), port, "a taken usual port is replaced");
        drop(taken);
        assert_eq!(pick(None, port, false).await.unwrap(), port);
    }

    #[tokio::test]
    async fn stops_what_it_started() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Some(parent.path().to_owned());
        let options = DemoOptions { check: true, folder, ports: Ports::default() };
        let stage = Stage::set(&options).await.unwrap();
        let (origin, folder) = (stage.origin, stage.folder.clone());
        assert!(tokio::net::TcpStream::connect(origin).await.is_ok() && folder.is_dir());
        stage.clear().await;
        assert!(tokio::net::TcpStream::connect(origin).await.is_err() && !folder.exists());
        assert!(parent.path().is_dir());
    }
}
