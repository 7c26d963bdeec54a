//! The document: groups and keys in the contract's order, with its defaults (contract-auth 5.1).

use serde::{Deserialize, Serialize};

use super::accounts::Accounts;
use super::maps::Maps;
use super::passkeys::Passkeys;
use super::realtime::Realtime;

/// All settings. Serialised in this order; secrets are part of the stored form only (see [`Document::redacted`]).
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Document {
    /// Addresses that superusers may come from; empty is anywhere.
    #[serde(rename = "superuserIPs")]
    pub superuser_ips: Vec<String>,
    /// Outgoing mail.
    pub smtp: Smtp,
    /// Automatic backups.
    pub backups: Backups,
    /// Storage of files.
    pub s3: S3,
    /// How the application presents itself.
    pub meta: Meta,
    /// How often clients may ask.
    pub rate_limits: RateLimits,
    /// Which headers tell a client's address.
    pub trusted_proxy: TrustedProxy,
    /// Requests in one transaction.
    pub batch: Batch,
    /// What is logged.
    pub logs: Logs,
    /// Burrow's own: connections and channels. Kept in a row of its own, see [`OWN_GROUPS`].
    pub realtime: Realtime,
    /// Burrow's own: where passkeys are a way to sign in.
    pub passkeys: Passkeys,
    /// Burrow's own: what is demanded of accounts.
    pub accounts: Accounts,
    /// Burrow's own: where maps of the dashboard come from.
    pub maps: Maps,
}

/// Groups that PocketBase does not know: it would drop them when it saves, so they have a row of their own.
pub(super) const OWN_GROUPS: [&str; 4] = ["realtime", "passkeys", "accounts", "maps"];

/// Keys of the contract's groups that PocketBase does not know, kept in the same row.
pub(super) const OWN_KEYS: [(&str, &str); 3] = [
    ("trustedProxy", "addresses"),
    ("logs", "maxPerSecond"),
    ("logs", "maxSize"),
];

/// Outgoing mail.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Smtp {
    /// On or off.
    pub enabled: bool,
    /// TCP port.
    pub port: i64,
    /// Host.
    pub host: String,
    /// User name.
    pub username: String,
    /// Password; never answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Empty, `PLAIN` or `LOGIN`.
    pub auth_method: String,
    /// TLS from the first byte.
    pub tls: bool,
    /// Name given in EHLO.
    pub local_name: String,
}

/// Automatic backups.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Backups {
    /// When, as a cron expression or macro; empty never.
    pub cron: String,
    /// How many automatic ones stay.
    pub cron_max_keep: i64,
    /// Where, when not in the data directory.
    pub s3: S3,
}

/// An S3 bucket.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct S3 {
    /// On or off.
    pub enabled: bool,
    /// Bucket.
    pub bucket: String,
    /// Region.
    pub region: String,
    /// Endpoint.
    pub endpoint: String,
    /// Access key.
    pub access_key: String,
    /// Secret; never answered.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub secret: String,
    /// Bucket in the path instead of the host.
    pub force_path_style: bool,
}

/// How the application presents itself.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Colour of the dashboard.
    pub accent_color: String,
    /// Name.
    pub app_name: String,
    /// Address.
    #[serde(rename = "appURL")]
    pub app_url: String,
    /// Sender of mails.
    pub sender_name: String,
    /// Address of the sender of mails.
    pub sender_address: String,
    /// Whether the dashboard hides what changes collections.
    pub hide_controls: bool,
}

/// How often clients may ask.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RateLimits {
    /// The rules, the first that fits counts.
    pub rules: Vec<RateRule>,
    /// Addresses and networks without limits.
    #[serde(rename = "excludedIPs")]
    pub excluded_ips: Vec<String>,
    /// On or off.
    pub enabled: bool,
}

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RateRule {
    /// Path, path prefix, or `collection:action`.
    pub label: String,
    /// Empty, `@guest` or `@auth`.
    pub audience: String,
    /// Seconds of a window.
    pub duration: i64,
    /// Requests in a window.
    pub max_requests: i64,
}

/// Which headers tell a client's address.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrustedProxy {
    /// Header names, the first that is present counts.
    pub headers: Vec<String>,
    /// The leftmost address of a list instead of the rightmost.
    #[serde(rename = "useLeftmostIP")]
    pub use_leftmost_ip: bool,
    /// Burrow's own: addresses and networks whose headers are believed; empty is anybody's.
    pub addresses: Vec<String>,
}

/// Requests in one transaction.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Batch {
    /// On or off.
    pub enabled: bool,
    /// Requests in one batch.
    pub max_requests: i64,
    /// Seconds.
    pub timeout: i64,
    /// Bytes; 0 is the default bound.
    pub max_body_size: i64,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Logs {
    /// Bytes of one entry's data; 0 is the default bound.
    pub max_data_size: i64,
    /// Days that entries stay; 0 keeps none.
    pub max_days: i64,
    /// Entries below are not kept.
    pub min_level: i64,
    /// Whether addresses are kept.
    #[serde(rename = "logIP")]
    pub log_ip: bool,
    /// Whether ids of signed-in records are kept.
    pub log_auth_id: bool,
    /// Burrow's own: ordinary requests that are kept each second, beyond which a sample is; 0 is all.
    pub max_per_second: i64,
    /// Burrow's own: bytes of the log's file, beyond which the oldest entries go; 0 is no bound.
    pub max_size: i64,
}

impl Document {
    /// The contract's defaults.
    #[must_use]
    pub fn defaults() -> Self {
        let rule = |label: &str, duration, max_requests| RateRule {
            label: label.to_owned(),
            audience: String::new(),
            duration,
            max_requests,
        };
        Self {
            smtp: Smtp {
                port: 587,
                host: "smtp.example.com".to_owned(),
                password: Some(String::new()),
                ..Smtp::default()
            },
            backups: Backups {
                cron_max_keep: 3,
                ..Backups::default()
            },
            meta: Meta {
                accent_color: "#1055c9".to_owned(),
                app_name: "Acme".to_owned(),
                app_url: "http://localhost:8090".to_owned(),
                sender_name: "Support".to_owned(),
                sender_address: "support@example.com".to_owned(),
                hide_controls: false,
            },
            rate_limits: RateLimits {
                rules: vec![
                    rule("*:auth", 3, 2),
                    rule("*:create", 5, 20),
                    rule("/api/batch", 1, 3),
                    rule("/api/", 10, 300),
                ],
                ..RateLimits::default()
            },
            batch: Batch {
                enabled: false,
                max_requests: 50,
                timeout: 3,
                max_body_size: 0,
            },
            logs: Logs {
                max_days: 5,
                log_ip: true,
                max_per_second: 500,
                max_size: 1 << 30,
                ..Logs::default()
            },
            ..Self::default()
        }
    }

    /// What a fresh directory starts with: the defaults, and batch requests allowed.
    #[must_use]
    pub fn fresh() -> Self {
        let mut document = Self::defaults();
        document.batch.enabled = true;
        document
    }

    /// The same without secrets: the only form that is answered.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let mut document = self.clone();
        document.smtp.password = None;
        document.s3.secret.clear();
        document.backups.s3.secret.clear();
        document
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_have_the_contracts_keys_in_its_order_and_ours_after_them() {
        let text = serde_json::to_string(&Document::defaults().redacted()).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"superuserIPs":[],"smtp":{"enabled":false,"port":587,"host":"smtp.example.com","username":"","authMethod":"","tls":false,"localName":""},"#,
                r#""backups":{"cron":"","cronMaxKeep":3,"s3":{"enabled":false,"bucket":"","region":"","endpoint":"","accessKey":"","forcePathStyle":false}},"#,
                r#""s3":{"enabled":false,"bucket":"","region":"","endpoint":"","accessKey":"","forcePathStyle":false},"#,
                r##""meta":{"accentColor":"#1055c9","appName":"Acme","appURL":"http://localhost:8090","senderName":"Support","senderAddress":"support@example.com","hideControls":false},"##,
                r#""rateLimits":{"rules":[{"label":"*:auth","audience":"","duration":3,"maxRequests":2},{"label":"*:create","audience":"","duration":5,"maxRequests":20},{"label":"/api/batch","audience":"","duration":1,"maxRequests":3},{"label":"/api/","audience":"","duration":10,"maxRequests":300}],"excludedIPs":[],"enabled":false},"#,
                r#""trustedProxy":{"headers":[],"useLeftmostIP":false,"addresses":[]},"batch":{"enabled":false,"maxRequests":50,"timeout":3,"maxBodySize":0},"#,
                r#""logs":{"maxDataSize":0,"maxDays":5,"minLevel":0,"logIP":true,"logAuthId":false,"maxPerSecond":500,"maxSize":1073741824},"#,
                r#""realtime":{"channels":[],"catchUp":true,"maxConnections":50000,"maxConnectionsPerAddress":1000,"maxSubscriptions":1000,"maxMessageBytes":65536,"maxBacklog":1024},"passkeys":{"collections":[],"rpId":"","origins":[]},"accounts":{"refuseCommonPasswords":[]},"maps":{"tiles":""}}"#
            )
        );
    }
}
