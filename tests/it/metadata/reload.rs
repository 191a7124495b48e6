//! What a reload of the configuration does to a connection that metadata describes.
use super::refresh::World;
use crate::support::gateway::name_id;
use portcullis::demo::browser::Browser;

/// Where nothing about the connection is said otherwise, it stays in use with the task that follows the IdP; else both are new.
#[tokio::test]
async fn a_connection_from_metadata_outlives_reloads_that_do_not_concern_it() {
    let mut world = World::new().await;
    world.server.serve(&world.document().xml());
    let first = world.handle();
    first.refresh().await.unwrap();

    world.gateway.edit("path = \"/public\"", "path = \"/open\"");
    let reloaded = world.gateway.reload().await.unwrap();
    assert_eq!(reloaded.applied.len(), 1, "{reloaded:?}");
    first.refresh().await.unwrap();
    assert_eq!(world.gateway.sign_in(&mut Browser::new(), "alice").await.status, 200);

    world.gateway.edit("[enterprise.example.saml]", "[enterprise.example.saml]\nforce_authn = true");
    world.gateway.reload().await.unwrap();
    assert_eq!(first.refresh().await.map_err(|error| error.code()), Err("metadata_stopped"));
    world.handle().refresh().await.unwrap();
    let mut browser = Browser::new();
    let people = browser.open(&format!("{}/saml/login", world.gateway.url)).await.unwrap();
    assert!(people.body.contains("Who are you today?"), "{}", people.body);
    assert_eq!(world.gateway.sign_in(&mut browser, "alice").await.status, 200);
    assert!(world.gateway.person(&name_id("alice")).await.is_some());
    world.gateway.stop().await;
}
