//! What the program asks of the system while it takes metadata, seen by strace: nobody is connected to but the server of the
//! metadata URL, and for a file nobody.
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use super::{document::Document, refresh::World, server::MetadataServer};
use crate::{attacks::program::strace, saml::forge::IDP, support::process::Process};

/// Opens of files, too, to see that strace sees.
const TRACED: &str = "trace=open,openat,socket,connect,sendto,sendmsg,sendmmsg";

/// Documents that want something from elsewhere: from a file and from a server.
fn wanting(document: &Document, elsewhere: &str) -> Vec<String> {
    let xml = document.xml();
    let retrieval = format!(
        "<md:Extensions><ds:RetrievalMethod xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" URI=\"{elsewhere}\">\
         </ds:RetrievalMethod><xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" href=\"file:///etc/passwd\">\
         </xi:include></md:Extensions>"
    );
    let schema = format!(
        " ID=\"_metadata\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:schemaLocation=\"urn:x {elsewhere}\""
    );
    vec![
        format!("<!DOCTYPE md:EntityDescriptor SYSTEM \"{elsewhere}\">{xml}"),
        format!("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>{xml}"),
        format!("<?xml-stylesheet href=\"{elsewhere}\"?>{xml}"),
        format!("<md:EntitiesDescriptor xmlns:md=\"{}\">{xml}</md:EntitiesDescriptor>", super::document::MD),
        Document { before: retrieval, ..document.clone() }.xml(),
        xml.replacen(" ID=\"_metadata\"", &schema, 1),
    ]
}

/// `metadata import SOURCE` under strace, and what strace saw.
fn import(folder: &Path, source: &str, more: &[&str]) -> (Output, String) {
    let trace = folder.join("trace");
    let mut command = strace(&trace, TRACED);
    let output = command.args(["metadata", "import", source, "--entity-id", IDP]).args(more).output();
    (output.unwrap(), fs::read_to_string(trace).unwrap())
}

fn lines<'a>(trace: &'a str, names: &[&str]) -> Vec<&'a str> {
    // The process id stands before the call where there are several.
    let is_of = |line: &&str| names.iter().any(|name| format!(" {line}").contains(&format!(" {name}(")));
    trace.lines().filter(is_of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn m_03_m_04_and_s_60_an_import_of_a_file_connects_to_nobody() {
    let elsewhere = MetadataServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("idp.xml");
    let genuine = Document::default();
    for document in wanting(&genuine, &elsewhere.url).iter().chain([&genuine.xml()]) {
        fs::write(&file, document).unwrap();
        let (_, trace) = import(folder.path(), file.to_str().unwrap(), &[]);
        assert!(trace.contains("idp.xml\""), "strace saw no file opened: {trace}");
        assert!(!trace.contains("/etc/passwd"), "{document}: {trace}");
        let network = lines(&trace, &["socket", "connect", "sendto", "sendmsg", "sendmmsg"]);
        assert!(network.is_empty(), "{document}: {network:#?}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

/// The one connection is to the server that is named.
fn check(trace: &str, server: &MetadataServer, what: &str) {
    let port = server.url.rsplit(':').next().unwrap().split('/').next().unwrap();
    let there = format!("sin_port=htons({port}), sin_addr=inet_addr(\"127.0.0.1\")");
    let connects = lines(trace, &["connect"]);
    assert!(connects.len() == 1 && connects[0].contains(&there), "{what}: {connects:#?}");
    assert_eq!(lines(trace, &["socket"]).len(), 1, "{what}: {trace}");
    assert!(!trace.contains("/etc/passwd"), "{what}: {trace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn m_03_m_04_and_s_60_an_import_of_a_url_connects_to_its_server() {
    let (server, elsewhere) = (MetadataServer::start().await, MetadataServer::start().await);
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, &server.authority_pem).unwrap();
    let more = ["--ca", ca.to_str().unwrap(), "--internal-network", "127.0.0.1/32"];
    let genuine = Document::default();
    for document in wanting(&genuine, &elsewhere.url) {
        server.serve(&document);
        let (_, trace) = import(folder.path(), &server.url, &more);
        check(&trace, &server, &document);
    }
    server.respond("302 Found", &format!("Location: {}\r\n", elsewhere.url), genuine.xml().as_bytes());
    let (output, trace) = import(folder.path(), &server.url, &more);
    assert_eq!(output.status.code(), Some(1));
    check(&trace, &server, "a redirect");
    // Without leave to connect to this machine there is no socket at all.
    let (_, trace) = import(folder.path(), &server.url, &more[..2]);
    assert!(lines(&trace, &["socket", "connect"]).is_empty(), "{trace}");
    assert_eq!(elsewhere.connections(), 0);
}

/// The gateway's own refresh, at its start.
#[tokio::test(flavor = "multi_thread")]
async fn m_04_and_s_60_a_refresh_connects_to_the_server_of_its_url() {
    let mut world = World::new().await;
    world.gateway.stop_serving().await;
    let elsewhere = MetadataServer::start().await;
    let documents = wanting(&world.document(), &elsewhere.url);
    world.server.serve(&documents[0]);
    let folder = tempfile::tempdir().unwrap();
    let command = |_| {
        let mut command: Command = strace(&folder.path().join("trace"), TRACED);
        let configured = world.gateway.command();
        let environment = configured.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.arg("serve").envs(environment);
        command
    };
    let process = Process::start_until("strace portcullis serve", command, |process| {
        process.log().contains("saml.metadata_refused")
    });
    assert!(process.log().contains("markup_declaration"), "{}", process.log());
    drop(process);
    let trace = fs::read_to_string(folder.path().join("trace")).unwrap();
    let port = world.server.url.rsplit(':').next().unwrap().split('/').next().unwrap();
    let connects = lines(&trace, &["connect"]);
    assert!(connects.len() == 1 && connects[0].contains(&format!("htons({port})")), "{connects:#?}");
    assert_eq!(elsewhere.connections(), 0);
    world.gateway.stop().await;
}
