//! The one stylesheet, the one script, the icon: compiled in, no request leaves the house.

use axum::{
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::IntoResponse,
};

/// Pages name the version in the address, so an hour is safe.
const KEEP: &str = "public, max-age=3600";

pub(super) async fn style() -> impl IntoResponse {
    served("text/css; charset=utf-8", include_str!("../../assets/app.css"))
}

pub(super) async fn script() -> impl IntoResponse {
    served("text/javascript; charset=utf-8", include_str!("../../assets/live.js"))
}

pub(super) async fn icon() -> impl IntoResponse {
    served("image/svg+xml", include_str!("../../assets/icon.svg"))
}

fn served(kind: &'static str, content: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, KEEP)], content)
}
