//! What operators do to people and organizations at the command line, with the program itself.
use std::process::Output;

use portcullis::domain::Role;
use serde_json::Value;

use crate::{
    api::world::World,
    support::gateway::{BACKENDS, Backend},
};

/// The program with the world's configuration; the world's gateway must not serve an embedded store meanwhile.
struct Operator<'a> {
    world: &'a World,
}

impl Operator<'_> {
    fn run(&self, arguments: &str) -> Output {
        let mut command = self.world.gateway.command();
        command.args(arguments.split(' ')).args(["--enterprise", "example"]);
        command.output().unwrap()
    }

    fn json(&self, arguments: &str) -> Value {
        let output = self.run(&format!("{arguments} --format json"));
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The exit code and what stands on standard error.
    fn fails(&self, arguments: &str) -> (i32, String) {
        let output = self.run(arguments);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_do_by_hand_what_owners_may() {
    for backend in BACKENDS {
        let mut world = World::new(backend).await;
        let token = world.make_token(&world.mia, &["api:read"], &["octo-org"]).await;
        world.gateway.stop_serving().await;
        world.let_go();
        let operator = Operator { world: &world };
        let logins: Vec<String> = names(&operator.json("org list"), "login");
        assert_eq!(logins, ["docs-team", "hubot-lab", "octo-org"]);
        assert_eq!(operator.json("org create skunk --managed --alias sw")["managed"], true);
        assert_eq!(operator.json("org show skunk")["aliases"], serde_json::json!(["sw"]));
        assert_eq!(operator.json("org members octo-org").as_array().unwrap().len(), 2);
        // By name as by id.
        let owner = operator.json("org role octo-org mia@example.com owner");
        assert_eq!(owner["role"], Role::Owner.as_str());
        operator.json(&format!("org remove octo-org {}", world.olga.id));
        assert_eq!(operator.json("person restore olga@example.com --organization octo-org")["role"], "owner");

        let id = token["id"].as_str().unwrap();
        assert_eq!(operator.json("token list mia@example.com")[0]["id"], id);
        operator.json(&format!("token revoke mia@example.com {id}"));
        assert_eq!(operator.json("token list mia@example.com"), serde_json::json!([]));
        assert_eq!(operator.json("session list mia@example.com").as_array().unwrap().len(), 1);
        operator.json("session end mia@example.com --all");
        assert_eq!(operator.json("session list mia@example.com"), serde_json::json!([]));

        assert_eq!(operator.json("person deactivate otto@example.com")["standing"], "deactivated");
        assert_eq!(names(&operator.json("org list --unowned"), "login"), ["hubot-lab"]);
        assert_eq!(operator.json("person reactivate otto@example.com")["standing"], "active");
        assert_eq!(names(&operator.json("person list"), "user").len(), 5);
        assert_eq!(operator.json("hold list"), serde_json::json!([]));
        assert_eq!(operator.json("invitation list octo-org"), serde_json::json!([]));
        world.gateway.stop().await;
    }
}

fn names(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|entry| entry[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_work_says_why_and_how_to_mend_it() {
    let mut world = World::new(Backend::Embedded).await;
    {
        // The gateway serves, and has the embedded store to itself.
        let (code, told) = Operator { world: &world }.fails("org list");
        assert_eq!(code, 1, "{told}");
        assert!(told.starts_with("portcullis: store: ") && told.contains("stop the gateway"), "{told}");
    }
    world.gateway.stop_serving().await;
    world.let_go();
    let operator = Operator { world: &world };
    for (arguments, code, words) in [
        ("org show nothing", 1, "no such organization"),
        ("org show no_name", 2, "account name"),
        ("person show carol@example.com", 1, "no such person"),
        ("org role octo-org otto@example.com owner", 1, "not_a_member"),
        ("token revoke mia@example.com xyz", 2, "no such id"),
        ("session end mia@example.com", 2, "required"),
        ("hold approve octo-org mia@example.com", 1, "removal_not_held"),
        ("org role octo-org mia@example.com king", 2, "possible values"),
    ] {
        let (found, told) = operator.fails(arguments);
        assert_eq!(found, code, "{arguments}: {told}");
        assert!(told.contains(words), "{arguments}: {told}");
    }
    let table = operator.run("org members octo-org");
    let text = String::from_utf8(table.stdout).unwrap();
    assert!(text.starts_with("id ") && text.contains("mia@example.com  member"), "{text}");
    world.gateway.stop().await;
}
