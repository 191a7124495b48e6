//! Redis over TLS: trusted by the certificates that the environment names, refused without.
use std::{path::Path, process::Command};

use portcullis::store::{StoreError, redis};

use crate::{
    store::PATIENT_MILLIS,
    support::{
        certificates::certificate,
        redis::{RedisServer, free_port},
    },
};

const URL_VARIABLE: &str = "PORTCULLIS_TEST_TLS_URL";

/// Connects with what `SSL_CERT_FILE` trusts: a process of its own, because the variable is read there.
#[tokio::test]
#[ignore = "run by a_trusted_server_is_spoken_to_over_tls"]
async fn connect_over_tls() {
    let url = std::env::var(URL_VARIABLE).expect("its parent sets the URL");
    let store = connect(url).await.unwrap();
    portcullis::store::Store::ready(&store).await.unwrap();
}

#[tokio::test]
async fn a_trusted_server_is_spoken_to_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, authority_key) = certificate("authority", None);
    let (leaf, leaf_key) = certificate("leaf", Some((&authority, &authority_key)));
    let file = |name: &str, pem: Vec<u8>| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let ca = file("ca.pem", authority.to_pem().unwrap());
    let cert = file("cert.pem", leaf.to_pem().unwrap());
    let key = file("key.pem", leaf_key.private_key_to_pem_pkcs8().unwrap());
    let port = free_port().to_string();
    let tls =
        ["--tls-port", &port, "--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
    let user =
        ["--tls-auth-clients", "no", "--user", "gateway", "on", ">s3cret", "~pc:*", "&pc:notes", "+@all"];
    let _server = RedisServer::start_with(&[&tls[..], &user[..]].concat());
    let url = format!("rediss://gateway:s3cret@127.0.0.1:{port}");

    let spoken = Command::new(std::env::current_exe().unwrap())
        .args(["store_tls::connect_over_tls", "--exact", "--ignored"])
        .env(URL_VARIABLE, &url)
        .env("SSL_CERT_FILE", Path::new(&ca))
        .output()
        .unwrap();
    assert!(spoken.status.success(), "{}", String::from_utf8_lossy(&spoken.stdout));

    match connect(url).await.map(drop) {
        Err(StoreError::Unavailable(why)) => {
            assert!(why.contains("certificate") && !why.contains("s3cret"), "{why}")
        }
        other => panic!("{other:?}"),
    }
}

async fn connect(url: String) -> Result<redis::Redis, StoreError> {
    redis::Redis::connect(&redis::Settings::single(url, PATIENT_MILLIS)).await
}
