//! What is the same for all routes: who is let in.

use axum::http::Method;
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, ResponseBuilder};

use crate::service::web::access::Access;

/// The answers of [`Guard`](crate::service::web::guard::Guard), which every route may give.
const OF_ALL: [(&str, &str); 5] = [
    ("400", "The request cannot be read"),
    ("403", "The request is of a page of another site, or the token lacks the scope"),
    ("421", "The header `Host` is no name of this service"),
    ("429", "Too many requests, or wrong tokens, came from this address"),
    ("503", "Too many requests are under way"),
];

/// Says for each route who is let in, and what the others are told.
pub(super) fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let operations = [
            (Method::GET, HttpMethod::Get, &mut item.get),
            (Method::POST, HttpMethod::Post, &mut item.post),
            (Method::DELETE, HttpMethod::Delete, &mut item.delete),
        ];
        for (method, _, operation) in operations {
            if let Some(operation) = operation {
                complete_operation(operation, Access::of(&method, path));
            }
        }
    }
}

fn complete_operation(operation: &mut Operation, access: Access) {
    let responses = &mut operation.responses.responses;
    let mut add = |status: &str, description: &str| {
        responses.entry(status.to_owned()).or_insert_with(|| {
            let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
            let content = Content::new(Some(schema));
            let response = ResponseBuilder::new().description(description);
            RefOr::T(response.content("application/problem+json", content).build())
        });
    };
    OF_ALL.iter().for_each(|(status, description)| add(status, description));
    if access != Access::Public {
        add("401", "The token is missing or not known");
        let needs: [&str; 0] = [];
        operation.security = Some(vec![SecurityRequirement::new("token", needs)]);
    }
}
