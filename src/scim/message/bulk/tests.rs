//! Bulk requests, as data.
use super::*;

fn bulk(operations: Value) -> Result<Bulk, ScimError> {
    Bulk::parse(json!({ "failOnErrors": 1, "Operations": operations }).to_string().as_bytes())
}

fn post(bulk_id: &str, data: impl Into<Value>) -> Value {
    let data = data.into();
    json!({ "method": "POST", "path": "/Users", "bulkId": bulk_id, "data": data })
}

fn order(operations: Value) -> Result<Vec<usize>, &'static str> {
    bulk(operations).and_then(|bulk| bulk.order()).map_err(|error| error.code)
}

#[test]
fn what_others_refer_to_comes_first() {
    let manager = |of: &str| json!({ "userName": "u", "manager": { "value": format!("bulkId:{of}") } });
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
        post("a", json!({ "x": ["bulkId:b", "bulkId:c"] })),
        post("b", manager("c")),
        post("c", free())
    ]);
    assert_eq!(order(diamond), Ok(vec![2, 1, 0]));
}

#[test]
fn circles_are_refused() {
    let manager = |of: &str| json!({ "manager": format!("bulkId:{of}") });
    let circular = Err("scim_bulk_circular");
    assert_eq!(order(json!([post("a", manager("a"))])), circular);
    assert_eq!(order(json!([post("a", manager("b")), post("b", manager("a"))])), circular);
    let chain = |count: usize| {
        (0..count).map(|n| post(&n.to_string(), manager(&((n + 1) % count).to_string()))).collect::<Value>()
    };
    assert_eq!(order(chain(BULK_OPERATIONS_MAX)), circular);
    assert_eq!(order(json!([post("a", manager("x"))])), Err("scim_bulk_reference"));
    assert_eq!(order(json!([post("a", json!({})), post("a", json!({}))])), Err("scim_bulk_syntax"));
}

#[test]
fn long_chains_do_not_end_the_stack() {
    let last = BULK_OPERATIONS_MAX - 1;
    let chain: Value = (0..=last)
        .map(|n| {
            post(
                &n.to_string(),
                if n == last { json!({}) } else { json!({ "m": format!("bulkId:{}", n + 1) }) },
            )
        })
        .collect();
    assert_eq!(order(chain), Ok((0..=last).rev().collect()));
}

#[test]
fn references_become_ids() {
    let id = ScimId::from_random([9; 16]);
    let made = HashMap::from([("b".to_owned(), id)]);
    let bulk = bulk(json!([
        { "method": "PUT", "path": "/Users/bulkId:b", "version": "W/\"1\"", "data": { "m": ["bulkId:b", "b"] } },
        { "method": "DELETE", "path": "/Users/bulkId:c" },
    ]))
    .unwrap();
    let call = bulk.calls[0].clone().resolve(&made).unwrap();
    assert_eq!(call.target, BulkTarget { kind: ResourceType::User, id: Some(id.to_string()) });
    assert_eq!(call.data.to_value(), json!({ "m": [id.to_string(), "b"] }));
    assert_eq!(bulk.calls[1].clone().resolve(&made).unwrap_err().code, "scim_bulk_reference");
}

#[test]
fn v_18_malformed_and_too_much() {
    let code = |operations: Value| bulk(operations).err().map(|error| (error.status, error.code));
    let syntax = Some((400, "scim_bulk_syntax"));
    for bad in [
        json!([1]),
        json!([{ "method": "GET", "path": "/Users/1" }]),
        json!([{ "method": "POST", "path": "/Users", "data": {} }]),
        json!([{ "method": "POST", "path": "/Users/1", "bulkId": "a", "data": {} }]),
        json!([{ "method": "POST", "path": "/users", "bulkId": "a", "data": {} }]),
        json!([{ "method": "PUT", "path": "/Users", "data": {} }]),
        json!([{ "method": "PUT", "path": "/Users/", "data": {} }]),
        json!([{ "method": "PUT", "path": "/Users/1/2", "data": {} }]),
        json!([{ "method": "PUT", "path": "/Users/1" }]),
        json!([{ "method": "DELETE", "path": "https://example.com/Users/1" }]),
    ] {
        assert_eq!(code(bad.clone()), syntax, "{bad}");
    }
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
            method: BulkMethod::Post,
            bulk_id: Some("a".into()),
            location: Some("https://example.com/Users/1".into()),
            version: Some("W/\"1\"".into()),
            status: 201,
            error: None,
        },
        BulkAnswer {
            method: BulkMethod::Delete,
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
