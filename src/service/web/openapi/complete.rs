//! What is the same for all routes: who is let in.

use axum::http::Method;
use utoipa::openapi::path::{HttpMethod, Operation, ParameterIn};
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, HeaderBuilder, OpenApi, Ref, RefOr, ResponseBuilder, Schema};

use crate::service::web::access::Access;

/// The answers of [`Guard`](crate::service::web::guard::Guard), which every route may give.
const OF_ALL: [(&str, &str); 6] = [
    ("400", "The request cannot be read"),
    ("403", "The request is of a page of another site, or the token lacks the scope"),
    ("421", "The header `Host` is no name of this service"),
    ("429", "Too many requests, or wrong tokens, came from this address"),
    ("500", "It went wrong here; the log says where"),
    ("503", "Too many requests are under way"),
];

/// The answers to what is no request that can be taken, which have no body.
const OF_WIRE: [(&str, &str); 2] =
    [("414", "The target is too long"), ("431", "The headers are too many or too large")];

/// What is no name: nothing at all, and what has control characters.
const NAME: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]+$";

/// The headers that come with a status, wherever it is answered.
const HEADERS: [(&str, &str, &str); 3] = [
    ("401", "WWW-Authenticate", "`Bearer`"),
    ("429", "Retry-After", "The seconds after which the same may succeed"),
    ("503", "Retry-After", "The seconds after which the same may succeed, where that is known"),
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
    complete_responses(operation, access);
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema
            && schema.schema_type == SchemaType::Type(Type::String)
            && parameter.parameter_in != ParameterIn::Header
        {
            schema.pattern.get_or_insert_with(|| NAME.to_owned());
        }
    }
    for (status, name, description) in HEADERS {
        if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(status) {
            let header = HeaderBuilder::new().description(Some(description)).build();
            response.headers.insert(name.to_owned(), header.into());
        }
    }
    if access != Access::Public {
        let needs: [&str; 0] = [];
        operation.security = Some(vec![SecurityRequirement::new("token", needs)]);
    }
}

fn complete_responses(operation: &mut Operation, access: Access) {
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
    }
    for (status, description) in OF_WIRE {
        let response = ResponseBuilder::new().description(description).build();
        responses.entry(status.to_owned()).or_insert(RefOr::T(response));
    }
}
