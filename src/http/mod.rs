//! The wire: paths to handlers, on one screen. Handlers parse, call a service and answer; nothing else happens here.
//! What happens around every handler is in `layer`; paths are exact (a trailing slash is another path) and there is no 405.

mod account;
pub mod answer;
mod api_key;
mod auth;
mod authenticator;
mod backups;
mod batch;
pub mod body;
mod bulk;
mod collections;
mod console;
mod crons;
mod dashboard;
pub mod error;
mod explain;
pub mod extract;
mod files;
pub mod form;
mod health;
mod layer;
mod lenient;
mod logs;
mod metrics;
mod openapi;
mod passkey;
mod password;
mod plain;
mod realtime;
mod records;
mod server;
mod settings;
mod statics;
mod transfer;

use axum::Router;
use axum::routing::{get, post, put};

pub use metrics::{export, serve_metrics};
pub use server::{Doors, serve};

use crate::app::App;

/// Every path of the product.
#[expect(clippy::too_many_lines, reason = "a list: one entry a path")]
fn routes(app: App) -> Router {
    Router::new()
        .route("/api/health", get(health::health))
        .route(
            "/api/realtime",
            get(realtime::connect).post(realtime::submit),
        )
        .route("/api/realtime/stats", get(realtime::stats::view))
        .route(
            "/api/collections",
            get(collections::list).post(collections::create),
        )
        .route(
            "/api/collections/import",
            put(collections::import)
                .get(collections::no_collection)
                .patch(collections::no_collection)
                .delete(collections::no_collection),
        )
        .route(
            "/api/collections/meta/scaffolds",
            get(collections::scaffolds),
        )
        .route(
            "/api/collections/meta/oauth2-providers",
            get(collections::providers),
        )
        .route(
            "/api/collections/meta/dry-run-view",
            post(collections::dry_run),
        )
        .route("/api/collections/meta/exposure", get(collections::exposure))
        .route(
            "/api/collections/{collection}/explain",
            post(explain::explain),
        )
        .route(
            "/api/collections/{collection}",
            get(collections::view)
                .patch(collections::update)
                .delete(collections::delete),
        )
        .route(
            "/api/collections/{collection}/truncate",
            axum::routing::delete(collections::truncate),
        )
        .route(
            "/api/collections/{collection}/import",
            post(transfer::import),
        )
        .route(
            "/api/collections/{collection}/export",
            get(transfer::export),
        )
        .route(
            "/api/collections/{collection}/records",
            get(records::list).post(records::create),
        )
        .route(
            "/api/collections/{collection}/records/{id}",
            get(records::view)
                .patch(records::update)
                .delete(records::delete),
        )
        .route(
            "/api/collections/{collection}/direct-upload",
            post(records::direct_upload),
        )
        .route("/api/collections/{collection}/bulk", post(bulk::start))
        .route("/api/bulk", get(bulk::list))
        .route("/api/bulk/{job}", get(bulk::view).delete(bulk::stop))
        .route("/api/bulk/{job}/undo", post(bulk::undo))
        .route("/api/batch", post(batch::batch))
        .route("/api/settings", get(settings::view).patch(settings::update))
        .route("/api/settings/test/s3", post(settings::test_s3))
        .route("/api/settings/test/email", post(settings::test_email))
        .route(
            "/api/settings/apple/generate-client-secret",
            post(settings::apple_secret),
        )
        .route("/api/logs", get(logs::list).delete(logs::clear))
        .route("/api/logs/stats", get(logs::stats))
        .route("/api/logs/{id}", get(logs::view))
        .route("/api/metrics", get(metrics::view))
        .route("/api/openapi.json", get(openapi::view))
        .route("/api/crons", get(crons::list))
        .route("/api/crons/{id}", post(crons::run))
        .route("/api/sql", post(console::run))
        .route(
            "/api/collections/{collection}/auth-methods",
            get(auth::methods),
        )
        .route(
            "/api/collections/{collection}/auth-with-password",
            post(auth::with_password),
        )
        .route(
            "/api/collections/{collection}/request-otp",
            post(account::request_code),
        )
        .route(
            "/api/collections/{collection}/auth-with-otp",
            post(auth::with_code),
        )
        .route(
            "/api/collections/{collection}/auth-with-oauth2",
            post(auth::with_oauth2),
        )
        .route(
            "/api/oauth2-redirect",
            get(auth::come_back).post(auth::come_back),
        )
        .route(
            "/api/collections/{collection}/auth-with-totp",
            post(authenticator::sign_in),
        )
        .route(
            "/api/collections/{collection}/auth-with-passkey",
            post(passkey::sign_in),
        )
        .route(
            "/api/collections/{collection}/passkeys/challenge",
            post(passkey::challenge),
        )
        .route(
            "/api/collections/{collection}/passkeys/setup",
            post(passkey::begin),
        )
        .route(
            "/api/collections/{collection}/passkeys/confirm",
            post(passkey::confirm),
        )
        .route(
            "/api/collections/{collection}/passkeys/rename",
            post(passkey::rename),
        )
        .route(
            "/api/collections/{collection}/passkeys/remove",
            post(passkey::remove),
        )
        .route(
            "/api/collections/{collection}/api-keys",
            post(api_key::create),
        )
        .route(
            "/api/collections/{collection}/totp/setup",
            post(authenticator::set_up),
        )
        .route(
            "/api/collections/{collection}/totp/confirm",
            post(authenticator::confirm),
        )
        .route(
            "/api/collections/{collection}/totp/recovery-codes",
            post(authenticator::renew),
        )
        .route(
            "/api/collections/{collection}/totp/remove",
            post(authenticator::remove),
        )
        .route(
            "/api/collections/{collection}/auth-refresh",
            post(auth::refresh),
        )
        .route(
            "/api/collections/{collection}/end-other-sessions",
            post(auth::end_others),
        )
        .route(
            "/api/collections/{collection}/impersonate/{id}",
            post(auth::impersonate),
        )
        .route(
            "/api/collections/{collection}/request-verification",
            post(account::request_verification),
        )
        .route(
            "/api/collections/{collection}/confirm-verification",
            post(account::confirm_verification),
        )
        .route(
            "/api/collections/{collection}/request-password-reset",
            post(account::request_password_reset),
        )
        .route(
            "/api/collections/{collection}/confirm-password-reset",
            post(account::confirm_password_reset),
        )
        .route(
            "/api/collections/{collection}/request-email-change",
            post(account::request_email_change),
        )
        .route(
            "/api/collections/{collection}/confirm-email-change",
            post(account::confirm_email_change),
        )
        .route("/api/passwords/check", post(password::check))
        .route("/api/backups", get(backups::list).post(backups::create))
        .route("/api/backups/upload", post(backups::upload))
        .route(
            "/api/backups/{key}",
            get(backups::download).delete(backups::delete),
        )
        .route("/api/backups/{key}/restore", post(backups::restore))
        .route("/api/files/token", post(files::token))
        .route(
            "/api/files/{collection}/{record}/{name}",
            get(files::download),
        )
        .route("/_", get(dashboard::redirect))
        .route("/_/", get(dashboard::root))
        .route("/_/extensions.js", get(dashboard::extensions))
        .route("/_/{*file}", get(dashboard::file))
        // What no path above takes: static files for GET and HEAD, 404 for the rest.
        .fallback(statics::fallback)
        .method_not_allowed_fallback(statics::fallback)
        .with_state(app)
}
