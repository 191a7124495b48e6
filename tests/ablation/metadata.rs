//! The guards of an IdP's metadata: of documents, over the cases of `tests/it/metadata/read.rs`; of the addresses of its server;
//! of what that server answers; and of the last good document.
use std::{net::SocketAddr, rc::Rc, sync::Arc};

use portcullis::{
    domain::{EnterpriseId, EnterpriseSlug, Timestamp},
    metadata::{
        self, Authorities, FetchError, Home, Network, RefreshError, Remote, Settings, Source, Trust, Watch,
    },
    saml::{ConnectionSlot, MetadataError, guard::Guard},
    telemetry::Metrics,
};
use tokio::{runtime::Runtime, sync::Notify};

use crate::{
    gate_rig::Sessions,
    metadata::{
        document::{Document, certificate, key},
        read,
        server::MetadataServer,
    },
    probes::{self, ACCEPTED, Probe},
    saml::forge,
};

pub const DOCUMENTS: &[Guard] = &[
    Guard::MetadataSize,
    Guard::MetadataRoot,
    Guard::MetadataOneEntity,
    Guard::MetadataSigned,
    Guard::MetadataEntity,
    Guard::MetadataProtocol,
    Guard::MetadataOneIdp,
    Guard::MetadataTimestamp,
    Guard::MetadataDuration,
    Guard::MetadataValidity,
    Guard::MetadataKeyUse,
    Guard::MetadataKeySigns,
    Guard::MetadataOneCertificate,
    Guard::MetadataCertificate,
    Guard::MetadataPublicKeys,
    Guard::MetadataKeyThere,
    Guard::KeysPerConnection,
    Guard::MetadataKeyStrength,
    Guard::MetadataBinding,
    Guard::MetadataUrl,
    Guard::MetadataHttps,
    Guard::MetadataOwnHost,
];

/// Those that responses have, too.
const SHARED: &[Guard] = &[
    Guard::IdUnique,
    Guard::SignaturePlace,
    Guard::SignatureComments,
    Guard::SignatureAlgorithm,
    Guard::ReferenceUri,
    Guard::SignatureValue,
    Guard::Digest,
    Guard::Reread,
];

pub const ADDRESSES: &[Guard] = &[
    Guard::FetchAddresses,
    Guard::FetchEveryAddress,
    Guard::FetchThisNetwork,
    Guard::FetchLoopback,
    Guard::FetchPrivate,
    Guard::FetchShared,
    Guard::FetchLinkLocal,
    Guard::FetchBenchmarks,
    Guard::FetchMulticast,
    Guard::FetchReserved,
    Guard::FetchSpecialV6,
    Guard::FetchDocumentationV6,
    Guard::FetchSixToFour,
    Guard::FetchGlobalV6,
];

pub const FETCHED: &[Guard] = &[
    Guard::FetchHttps,
    Guard::FetchNumericHost,
    Guard::FetchStatus,
    Guard::FetchCoding,
    Guard::FetchHead,
    Guard::MetadataLife,
    Guard::MetadataKnownKeys,
];

/// Those of [`FETCHED`]'s cases that other cases stand for already.
const FETCHED_SHARED: &[Guard] = &[Guard::FetchLoopback, Guard::MetadataSize];

/// Takes each guard away; what is wrong.
pub fn run() -> Vec<String> {
    let documents: Vec<Probe> = read::cases().into_iter().map(document).collect();
    let addresses = addresses();
    let mut faults = probes::run("metadata", DOCUMENTS, &documents);
    faults.extend(probes::run("metadata", SHARED, &documents));
    faults.extend(probes::run("addresses", ADDRESSES, &addresses));
    let fetched = fetched();
    faults.extend(probes::run("what is fetched", FETCHED, &fetched));
    faults.extend(probes::run("what is fetched", FETCHED_SHARED, &fetched));
    faults
}

fn document(case: read::Case) -> Probe {
    let name = if case.pinned { format!("{} (pinned)", case.name) } else { case.name.to_owned() };
    Probe::new(name, move || match read::read(&case.octets, case.pinned) {
        Ok(metadata) => format!("{ACCEPTED} {metadata:?}"),
        Err(error) => MetadataError::code(&error).into(),
    })
}

fn addresses() -> Vec<Probe> {
    let many = vec!["8.8.8.8"; 33];
    let lists = [
        &["0.1.2.3"][..],
        &["127.0.0.1"],
        &["10.0.0.1"],
        &["172.16.0.1"],
        &["192.168.1.1"],
        &["100.64.0.1"],
        &["169.254.169.254"],
        &["198.18.0.1"],
        &["224.0.0.1"],
        &["192.0.2.1"],
        &["255.255.255.255"],
        &["2001::1"],
        &["2001:db8::1"],
        &["2002:7f00:1::"],
        &["::1"],
        &["fe80::1"],
        &["fd12::1"],
        &["8.8.8.8", "127.0.0.1"],
        &["2606:4700::1", "::ffff:169.254.169.254"],
        &many,
    ];
    let probe = |list: &[&str]| {
        let list: Vec<SocketAddr> =
            list.iter().map(|address| SocketAddr::new(address.parse().expect("an address"), 443)).collect();
        Probe::new(format!("{:?} of {}", list.last().expect("one").ip(), list.len()), move || {
            metadata::choose(&list, &[])
                .map_or_else(|error| code(FetchError::from(error)), |_| ACCEPTED.into())
        })
    };
    lists.into_iter().map(probe).collect()
}

fn code(error: impl Into<RefreshError>) -> String {
    error.into().code().into()
}

/// Where documents come from over HTTP.
struct World {
    runtime: Runtime,
    server: MetadataServer,
}

fn fetched() -> Vec<Probe> {
    let runtime = Runtime::new().expect("a runtime");
    let server = runtime.block_on(MetadataServer::start());
    let world = Rc::new(World { runtime, server });
    let probe = |name: &str, judge: fn(&World) -> String| {
        let world = world.clone();
        Probe::new(name, move || judge(&world))
    };
    vec![
        probe("an http URL", |world| world.once("127.0.0.0/8", |url| url.replace("https:", "http:"))),
        probe("a number in disguise", |world| {
            world.once("127.0.0.0/8", |url| url.replace("127.0.0.1", "2130706433"))
        }),
        probe("loopback", |world| world.once("10.1.0.0/16", |url| url)),
        probe("a redirect with a document", |world| {
            world.server.respond("302 Found", "Location: https://127.0.0.1/\r\n", genuine().as_bytes());
            world.taken()
        }),
        probe("a content coding", |world| {
            world.server.respond("200 OK", "Content-Encoding: gzip\r\n", genuine().as_bytes());
            world.taken()
        }),
        probe("a head without end", |world| {
            let fields = format!("X: {}\r\n", "a".repeat(100_000));
            world.server.respond("200 OK", &fields, genuine().as_bytes());
            world.taken()
        }),
        probe("two mebibytes and more", |world| {
            let document = Document { after: " ".repeat(2 * 1024 * 1024), ..Document::default() };
            world.server.serve(&document.xml());
            world.taken()
        }),
        probe("a document that was relied upon long enough", World::relied_upon),
        probe("keys that nobody knows", World::other_keys),
    ]
}

fn genuine() -> String {
    Document::default().xml()
}

impl World {
    fn settings(&self, url: &str, network: &str) -> Result<Settings, &'static str> {
        let authorities = Authorities::of_pem(&self.server.authority_pem).expect("authorities");
        let networks = vec![Network::parse(network).expect("a network")];
        Ok(Settings {
            source: Source::Url(Box::new(Remote::parse(url, authorities, networks)?)),
            rules: read::rules(),
            signers: None,
            trust: Trust::Overlap,
            approved_keys: vec![],
            refresh_seconds: 3600,
            validity_seconds_max: 3600,
        })
    }

    /// One fetch of the genuine document from its URL, changed.
    fn once(&self, network: &str, change: fn(String) -> String) -> String {
        self.server.serve(&genuine());
        match self.settings(&change(self.server.url.clone()), network) {
            Err(why) => why.into(),
            Ok(settings) => self.fetched(&settings),
        }
    }

    /// One fetch of whatever the server answers.
    fn taken(&self) -> String {
        self.fetched(&self.settings(&self.server.url, "127.0.0.0/8").expect("settings"))
    }

    fn fetched(&self, settings: &Settings) -> String {
        let metadata = self.runtime.block_on(settings.once(Timestamp::now()));
        metadata.map_or_else(code, |metadata| format!("{ACCEPTED} {metadata:?}"))
    }

    /// A document that the settings let live for no time at all.
    fn relied_upon(&self) -> String {
        self.server.serve(&genuine());
        let mut settings = self.settings(&self.server.url, "127.0.0.0/8").expect("settings");
        settings.validity_seconds_max = 0;
        self.runtime.block_on(async {
            let (home, slot) = home();
            let (watch, handle) = Watch::open(settings, home).await;
            let task = tokio::spawn(watch.run(std::future::pending()));
            let refreshed = handle.refresh().await;
            task.abort();
            match refreshed {
                Err(error) => code(error),
                Ok(_) if slot.load(Timestamp::now()).is_err() => "no_connection".into(),
                Ok(_) => ACCEPTED.into(),
            }
        })
    }

    /// A second document, none of whose keys the first one has.
    fn other_keys(&self) -> String {
        let settings = self.settings(&self.server.url, "127.0.0.0/8").expect("settings");
        self.runtime.block_on(async {
            self.server.serve(&genuine());
            let (watch, handle) = Watch::open(settings, home().0).await;
            let task = tokio::spawn(watch.run(std::future::pending()));
            handle.refresh().await.expect("the first document");
            let keys = key(None, &certificate("attacker-rsa"));
            self.server.serve(&Document { keys, ..Document::default() }.xml());
            let refreshed = handle.refresh().await;
            task.abort();
            refreshed.map_or_else(code, |_| ACCEPTED.into())
        })
    }
}

/// Of an enterprise whose store keeps nothing.
fn home() -> (Home, ConnectionSlot) {
    let slug = EnterpriseSlug::parse("example").expect("a slug");
    let slot = ConnectionSlot::default();
    let home = Home {
        enterprise: EnterpriseId::of(&slug),
        slug,
        saml: forge::settings(&[]),
        slot: slot.clone(),
        store: Arc::new(Sessions::default()),
        metrics: Metrics::new(),
        changed: Arc::new(Notify::new()),
    };
    (home, slot)
}
