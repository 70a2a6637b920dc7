use axum::{
    Json,
    extract::rejection::QueryRejection,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// A 400 answer as RFC 9457 problem details.
#[derive(Debug, Serialize)]
pub struct Problem {
    status: u16,
    title: &'static str,
    detail: String,
    pub errors: Vec<BadParameter>,
}

#[derive(Debug, Serialize)]
pub struct BadParameter {
    pub parameter: &'static str,
    pub detail: String,
}

impl Problem {
    fn new(detail: String, errors: Vec<BadParameter>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST.as_u16(),
            title: "Bad Request",
            detail,
            errors,
        }
    }
}

impl From<Vec<BadParameter>> for Problem {
    fn from(errors: Vec<BadParameter>) -> Self {
        Self::new("The query string has bad parameters.".to_owned(), errors)
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.body_text(), Vec::new())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (
            StatusCode::BAD_REQUEST,
            [(header::CONTENT_TYPE, "application/problem+json")],
            Json(self),
        )
            .into_response()
    }
}
