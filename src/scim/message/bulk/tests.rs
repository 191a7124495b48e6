//! Bulk requests, as data.
use super::*;

fn bulk(operations: Value) -> Result<Bulk, ScimError> {
    Bulk::parse(json!({ "failOnErrors": 1, "Operations": operations }).to_string().as_bytes())
}

fn post(bulk_id: &str, data: impl Into<Value>) -> Value {
    let data = data.into();
    json!({ "method": "POST", "path": "/Users", "bulkId": bulk_id, "data": data })
}

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// A user whose manager is made by another operation.
fn managed(by: &str) -> Value {
    json!({ "userName": "u", ENTERPRISE: { "manager": { "value": format!("bulkId:{by}") } } })
}

fn order(operations: Value) -> Result<Vec<usize>, &'static str> {
    bulk(operations).and_then(|bulk| bulk.order()).map_err(|error| error.code)
}

#[test]
fn what_others_refer_to_comes_first() {
    let manager = managed;
    let patch = json!({ "method": "PATCH", "path": "/Groups/bulkId:g", "data": { "Operations": [
        { "op": "add", "path": "members", "value": [{ "value": "bulkId:b" }] } ] } });
    let group =
        json!({ "method": "post", "path": "Groups", "bulkId": "g", "data": { "displayName": "octo-org" } });
    let free = || json!({ "userName": "u" });
    assert_eq!(
        order(json!([patch, post("a", manager("b")), group, post("b", free())])),
        Ok(vec![3, 2, 0, 1])
    );
    assert_eq!(order(json!([post("a", free()), post("b", free())])), Ok(vec![0, 1]));
    let diamond = json!([
        json!({ "method": "POST", "path": "/Groups", "bulkId": "a",
            "data": { "members": ["bulkId:b", { "Value": "bulkId:c" }] } }),
        post("b", manager("c")),
        post("c", free())
    ]);
    assert_eq!(order(diamond), Ok(vec![2, 1, 0]));
}

#[test]
fn circles_are_refused() {
    let manager = managed;
    let circular = Err("scim_bulk_circular");
    assert_eq!(order(json!([post("a", manager("a"))])), circular);
    assert_eq!(order(json!([post("a", manager("b")), post("b", manager("a"))])), circular);
    let chain = |count: usize| {
        (0..count).map(|n| post(&n.to_string(), manager(&((n + 1) % count).to_string()))).collect::<Value>()
    };
    assert_eq!(order(chain(BULK_OPERATIONS_MAX)), circular);
    assert_eq!(order(json!([post("a", manager("x"))])), Ok(vec![0]), "the operation's own failure");
}

#[test]
fn long_chains_do_not_end_the_stack() {
    let last = BULK_OPERATIONS_MAX - 1;
    let chain: Value = (0..=last)
        .map(|n| post(&n.to_string(), if n == last { json!({}) } else { managed(&(n + 1).to_string()) }))
        .collect();
    assert_eq!(order(chain), Ok((0..=last).rev().collect()));
}

#[test]
fn references_become_ids() {
    let id = ScimId::from_random([9; 16]);
    let made = HashMap::from([("b".to_owned(), id)]);
    let id = id.to_string();
    let resolved = |operation: Value| {
        let call = bulk(json!([operation])).unwrap().operations[0].call.clone().unwrap();
        call.resolve(&made).map(|call| (call.target, call.data.to_value())).map_err(|error| error.code)
    };
    let put = |data: Value| {
        resolved(json!({ "method": "PUT", "path": "/Users/bulkId:b", "data": data })).map(|(target, data)| {
            assert_eq!(target, BulkTarget { kind: ResourceType::User, id: Some(id.clone()) });
            data
        })
    };
    let manager = format!("{ENTERPRISE}:manager");
    assert_eq!(put(managed("b")), Ok(json!({ "userName": "u", ENTERPRISE: { "manager": { "value": id } } })));
    assert_eq!(
        put(json!({ manager.clone(): "bulkId:b", "groups": ["bulkId:b", "b"] })),
        Ok(json!({ manager.clone(): id, "groups": [id, "b"] }))
    );
    assert_eq!(put(managed("c")), Err("scim_bulk_reference"));
    assert_eq!(
        resolved(json!({ "method": "DELETE", "path": "/Users/bulkId:c" })),
        Err("scim_bulk_reference")
    );
    // What cannot be a reference is a text.
    let plain = json!({ "displayName": "bulkId:c", "nickName": "bulkId:b", "emails": [{ "value": "bulkId:b" }],
        "name": { "value": "bulkId:c" }, "x": "bulkId:c" });
    assert_eq!(put(plain.clone()), Ok(plain));

    let patch = |operation: Value| {
        let data = json!({ "Operations": [operation] });
        resolved(json!({ "method": "PATCH", "path": "/Groups/1", "data": data }))
            .map(|(_, data)| data["Operations"][0].clone())
    };
    for (given, expected) in [
        (
            json!({ "path": "members[value eq \"bulkId:b\"]" }),
            json!({ "path": format!("members[value eq \"{id}\"]") }),
        ),
        (
            json!({ "path": "Members[Value eq 'x' or value eq bulkId:b]" }),
            json!({ "path": format!("Members[Value eq \"x\" or value eq \"{id}\"]") }),
        ),
        (
            json!({ "path": "members", "value": [{ "value": "bulkId:b", "display": "bulkId:b" }] }),
            json!({ "path": "members", "value": [{ "value": id, "display": "bulkId:b" }] }),
        ),
        (json!({ "value": [{ "members": "bulkId:b" }] }), json!({ "value": [{ "members": id }] })),
        (
            json!({ "path": "displayName", "value": "bulkId:c" }),
            json!({ "path": "displayName", "value": "bulkId:c" }),
        ),
    ] {
        assert_eq!(patch(given.clone()), Ok(expected), "{given}");
    }
    for unknown in [
        json!({ "path": "members[value eq \"bulkId:c\"]" }),
        json!({ "path": "members", "value": "bulkId:c" }),
        json!({ "path": " ", "value": { "members": [{ "value": "bulkId:c" }] } }),
    ] {
        assert_eq!(patch(unknown.clone()), Err("scim_bulk_reference"), "{unknown}");
    }
}

#[test]
fn v_18_malformed_and_too_much() {
    let code = |operations: Value| bulk(operations).err().map(|error| (error.status, error.code));
    let good = post("good", json!({}));
    for bad in [
        json!({}),
        json!({ "method": "GET", "path": "/Users/1" }),
        json!({ "method": "POST", "path": "/Users", "data": {} }),
        json!({ "method": "POST", "path": "/Users", "bulkId": "a" }),
        json!({ "method": "POST", "path": "/Users/1", "bulkId": "a", "data": {} }),
        json!({ "method": "POST", "path": "/users", "bulkId": "a", "data": {} }),
        json!({ "method": "POST", "path": "/Me", "bulkId": "a", "data": {} }),
        json!({ "method": "PUT", "path": "/Users", "data": {} }),
        json!({ "method": "PUT", "path": "/Users/", "data": {} }),
        json!({ "method": "PUT", "path": "/Users/1/2", "data": {} }),
        json!({ "method": "PUT", "path": "/Users/1" }),
        json!({ "method": "DELETE", "path": "https://example.com/Users/1" }),
    ] {
        let read = bulk(json!([bad, good])).unwrap();
        let errors = read.operations.iter().map(|one| one.call.as_ref().err().map(|error| error.code));
        assert_eq!(errors.collect::<Vec<_>>(), [Some("scim_bulk_syntax"), None], "{bad}");
        assert_eq!(read.order(), Ok(vec![0, 1]), "{bad}");
    }
    // Nobody knows which of the two a reference means.
    let twice = bulk(json!([post("a", json!({})), post("a", json!({})), good])).unwrap();
    assert_eq!(twice.operations.iter().map(|one| one.call.is_ok()).collect::<Vec<_>>(), [false, false, true]);

    assert_eq!(code(json!([1])), Some((400, "scim_bulk_syntax")));
    assert_eq!(code(json!([])), Some((400, "scim_operations_missing")));
    let delete = json!({ "method": "DELETE", "path": "/Users/1" });
    assert_eq!(code(vec![delete.clone(); BULK_OPERATIONS_MAX].into()), None);
    assert_eq!(code(vec![delete; BULK_OPERATIONS_MAX + 1].into()), Some((413, "scim_operations_too_many")));
    for bad in ["0", "-1", "1.5", "\"1\""] {
        let body = format!("{{\"failOnErrors\":{bad},\"Operations\":[]}}");
        assert_eq!(Bulk::parse(body.as_bytes()).unwrap_err().code, "scim_bulk_syntax", "{bad}");
    }
    let large = vec![b' '; BULK_BODY_BYTES_MAX + 1];
    assert_eq!(Bulk::parse(&large).unwrap_err().status, 413);
}

#[test]
fn answers_tell_what_became_of_each() {
    let answers = BulkResponse(vec![
        BulkAnswer {
            method: "POST".into(),
            bulk_id: Some("a".into()),
            location: Some("https://example.com/Users/1".into()),
            version: Some("W/\"1\"".into()),
            status: 201,
            error: None,
        },
        BulkAnswer {
            method: "DELETE".into(),
            bulk_id: None,
            location: None,
            version: None,
            status: 404,
            error: Some(ScimError::new(404, None, "scim_unknown", "There is no such user.")),
        },
    ]);
    let json: Value = serde_json::from_str(&answers.json()).unwrap();
    assert_eq!(json["Operations"][0]["status"], "201");
    assert!(json["Operations"][0].get("response").is_none());
    assert_eq!(json["Operations"][1]["response"]["status"], "404");
    assert!(json["Operations"][1].get("bulkId").is_none());
}
