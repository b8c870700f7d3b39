//! That answers are as `/openapi.json` describes them; `scripts/schemathesis` looks at more of them.

use serde_json::{Map, Value, json};

use crate::served::{COMMON, SHOP, Served, make_shop};
use crate::waiting::until;

/// Where a value is not as described.
fn differences(at: &str, value: &Value, schema: &Value, document: &Value) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let schema = document.pointer(&name[1..]).unwrap();
        return differences(at, value, schema, document);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let mut found: Vec<_> =
            choices.iter().map(|choice| differences(at, value, choice, document)).collect();
        // It is one of them, or as near to one as can be.
        found.sort_by_key(Vec::len);
        return found.into_iter().next().unwrap_or_default();
    }
    if !is_of_type(value, &schema["type"]) {
        return vec![format!("{at} is {value}, and described as {}", schema["type"])];
    }
    if let Some(choices) = schema["enum"].as_array().filter(|choices| !choices.contains(value)) {
        return vec![format!("{at} is {value}, and none of {choices:?}")];
    }
    match value {
        Value::Array(values) => values
            .iter()
            .flat_map(|value| differences(&format!("{at}[]"), value, &schema["items"], document))
            .collect(),
        Value::Object(fields) => of_object(at, fields, schema, document),
        _ => Vec::new(),
    }
}

/// Whether a value is of a type, or of one of several; what is described by none may be anything.
fn is_of_type(value: &Value, described: &Value) -> bool {
    match described {
        Value::String(name) => match name.as_str() {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("`{other}` is no type"),
        },
        Value::Array(names) => names.iter().any(|name| is_of_type(value, name)),
        _ => true,
    }
}

#[test]
fn a_value_of_another_type_is_a_difference() {
    let schema = json!({ "properties": {
        "count": { "type": ["integer", "null"] },
        "how": { "oneOf": [{ "type": "null" }, { "type": "string", "enum": ["a"] }] },
        "list": { "type": "array", "items": { "type": "number" } },
    } });
    let differing = |value: Value| differences("", &value, &schema, &Value::Null).len();
    assert_eq!(differing(json!({ "count": 1, "how": "a", "list": [1, 0.5] })), 0);
    assert_eq!(differing(json!({ "count": null, "how": null, "list": [] })), 0);
    for wrong in [
        json!({ "count": 0.5 }),
        json!({ "count": "1" }),
        json!({ "how": "b" }),
        json!({ "how": 1 }),
        json!({ "list": [1, "2"] }),
        json!({ "list": null }),
    ] {
        assert_eq!(differing(wrong.clone()), 1, "{wrong}");
    }
}

fn of_object(
    at: &str,
    fields: &Map<String, Value>,
    schema: &Value,
    document: &Value,
) -> Vec<String> {
    let mut properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let mut required = schema["required"].as_array().cloned().unwrap_or_default();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let part = part["$ref"].as_str().map_or(part, |name| document.pointer(&name[1..]).unwrap());
        properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
        required.extend(part["required"].as_array().cloned().unwrap_or_default());
    }
    let missing =
        required.iter().filter_map(Value::as_str).filter(|name| !fields.contains_key(*name));
    let mut found: Vec<_> = missing.map(|name| format!("{at}.{name} is missing")).collect();
    let others = &schema["additionalProperties"];
    for (name, value) in fields {
        let at = format!("{at}.{name}");
        match properties.get(name) {
            Some(schema) => found.extend(differences(&at, value, schema, document)),
            None if others.is_object() => found.extend(differences(&at, value, others, document)),
            // What is any object is not described any further.
            None if properties.is_empty() => {}
            None => found.push(format!("{at} is not described")),
        }
    }
    found
}

#[tokio::test]
async fn answers_have_the_fields_that_are_described_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let _shop = make_shop(folder.path()).await;
    let served = Served::start(folder.path(), &format!("{COMMON}{SHOP}"), &[]);
    for id in (1..20).chain(1..20) {
        served.get(&format!("/v1/user/{id}")).await;
        served.get(&format!("/v1/right/{id}")).await;
    }
    served.post("/admin/jobs/popular/trigger", &json!({})).await;
    until("the run has ended", async || {
        !served.get("/admin/jobs/popular/runs").await.1[0]["outcome"].is_null()
    })
    .await;
    let (_, document) = served.get("/openapi.json").await;
    let operations = [
        ("GET", "/healthz", ""),
        ("GET", "/readyz", ""),
        ("GET", "/admin/stats", ""),
        ("GET", "/admin/resources", ""),
        ("GET", "/admin/resources/{name}/score-card", ""),
        ("GET", "/admin/resources/{name}/explain", "?key=7"),
        ("GET", "/admin/resources/{name}/related", "?key=7"),
        ("GET", "/admin/hot-keys", ""),
        ("GET", "/admin/associations", ""),
        ("GET", "/admin/rules", ""),
        ("GET", "/admin/scheduled-jobs", ""),
        ("GET", "/admin/jobs", ""),
        ("GET", "/admin/jobs/{id}/runs", ""),
        ("GET", "/admin/jobs/{id}/logs", ""),
        ("GET", "/admin/snapshots", ""),
        ("GET", "/admin/nodes", ""),
        ("GET", "/admin/health", ""),
        ("GET", "/admin/history", ""),
        ("GET", "/admin/audit", ""),
        ("POST", "/admin/resources/{name}/preload", ""),
        ("POST", "/admin/jobs/{id}/pause", ""),
        ("POST", "/admin/reload", ""),
    ];
    for (method, path, query) in operations {
        let asked = path.replace("{name}", "user").replace("{id}", "popular") + query;
        let (status, answer) = match method {
            "GET" => served.get(&asked).await,
            _ => served.post(&asked, &json!({})).await,
        };
        assert_eq!(status, 200, "{path}: {answer}");
        let responses = &document["paths"][path][method.to_lowercase()]["responses"];
        let schema = &responses["200"]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{path} is not described");
        let found = differences(path, &answer, schema, &document);
        assert!(found.is_empty(), "{found:#?}\n{answer:#}");
    }
    let (_, problem) = served.get("/v1/user/4711").await;
    let schema = &document["components"]["schemas"]["Problem"];
    assert_eq!(differences("", &problem, schema, &document), [""; 0]);
}
