//! Who a provider says somebody is, read from its answer by the paths of its entry.

use super::service::Token;
use crate::kit::json::{Json, JsonMap};
use crate::schema::field::is_email;
use crate::schema::provider::{Email, Paths, Provider};

/// A person as a provider knows them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Never empty.
    pub id: String,
    /// Display name.
    pub name: String,
    /// User name.
    pub username: String,
    /// An address that the provider has proven, or empty.
    pub email: String,
    /// URL of a picture.
    pub avatar_url: String,
    /// The answer as it came.
    pub raw: JsonMap,
}

impl Profile {
    /// Reads an answer; `None` when it names nobody, or somebody who may not sign in. Addresses that stand elsewhere are
    /// still missing.
    pub(super) fn read(entry: &Provider, raw: JsonMap, token: &Token) -> Option<Self> {
        let paths = &entry.user;
        let user = Json::Object(raw);
        let root = at(&user, paths.root)?;
        if !is_active(paths, root) {
            return None;
        }
        let mut profile = Self {
            id: joined(root, paths.id),
            name: joined(root, paths.name),
            username: joined(root, paths.username),
            email: email(paths.email, root, token),
            avatar_url: joined(root, paths.avatar),
            raw: JsonMap::new(),
        };
        odd(entry.name, root, &mut profile);
        // Without an id, or with one for everybody, anybody would be anybody.
        if profile.id.is_empty() || (entry.name == "strava" && profile.id == "0") {
            return None;
        }
        if let Json::Object(raw) = user {
            profile.raw = raw;
        }
        Some(profile)
    }
}

fn is_active(paths: &Paths, root: &Json) -> bool {
    paths
        .active
        .is_none_or(|(path, wanted)| joined(root, path) == wanted)
}

fn email(rule: Email, root: &Json, token: &Token) -> String {
    let when = |holds: bool, path: &str| {
        if holds {
            joined(root, path)
        } else {
            String::new()
        }
    };
    match rule {
        Email::None | Email::Listed { .. } => String::new(),
        Email::Trusted(path) => joined(root, path),
        Email::If { path, flags } => when(flags.iter().all(|flag| truthy(root, flag)), path),
        Email::Dated { path, since } => {
            // The zero of the provider's language stands for never.
            let since = joined(root, since);
            let dated = since.parse::<jiff::Timestamp>().is_ok();
            when(dated && !since.starts_with("0001-"), path)
        }
        Email::OfToken(name) => text(token.raw.get(name)),
        Email::Gitee => Some(joined(root, "email"))
            .filter(|email| is_email(email))
            .unwrap_or_default(),
        Email::Microsoft => joined(root, "mail"),
    }
}

/// What the paths of an entry cannot say.
fn odd(name: &str, root: &Json, profile: &mut Profile) {
    match name {
        "yandex" if !truthy(root, "is_avatar_empty") => {
            let picture = joined(root, "default_avatar_id");
            if !picture.is_empty() {
                profile.avatar_url =
                    format!("https://avatars.yandex.net/get-yapic/{picture}/islands-200");
            }
        }
        "discord" => {
            let picture = joined(root, "avatar");
            if !picture.is_empty() {
                let id = &profile.id;
                profile.avatar_url =
                    format!("https://cdn.discordapp.com/avatars/{id}/{picture}.png");
            }
            if profile.name.is_empty() {
                profile.name.clone_from(&profile.username);
                let number = joined(root, "discriminator");
                if !number.is_empty() && number != "0" {
                    profile.name = format!("{}#{number}", profile.name);
                }
            }
        }
        "wakatime" if truthy(root, "photo_public") => profile.avatar_url = joined(root, "photo"),
        "mailcow" => {
            let name = joined(root, "username");
            name.split('@')
                .next()
                .unwrap_or_default()
                .clone_into(&mut profile.username);
        }
        _ => {}
    }
}

/// The entry with all flags of a list of addresses.
pub(super) fn listed(list: &Json, flags: &[&str]) -> String {
    let items = match list {
        Json::Array(items) => items.as_slice(),
        Json::Object(map) => match map.get("values") {
            Some(Json::Array(items)) => items.as_slice(),
            _ => &[],
        },
        _ => &[],
    };
    items
        .iter()
        .find(|item| flags.iter().all(|flag| truthy(item, flag)))
        .map(|item| text(item.get("email")))
        .unwrap_or_default()
}

/// The confirmed and primary entry of Gitee's list.
pub(super) fn listed_by_gitee(list: &Json) -> String {
    let Json::Array(items) = list else {
        return String::new();
    };
    let primary = |item: &&Json| {
        let scopes = item.get("scope").and_then(Json::as_array);
        text(item.get("state")) == "confirmed"
            && scopes.is_some_and(|scopes| scopes.iter().any(|scope| scope == "primary"))
    };
    items
        .iter()
        .find(primary)
        .map(|item| text(item.get("email")))
        .unwrap_or_default()
}

/// Whether a claim is true, in either of the forms that providers use.
pub(super) fn truthy(root: &Json, path: &str) -> bool {
    match at(root, path) {
        Some(Json::Bool(flag)) => *flag,
        Some(Json::String(text)) => text == "true" || text == "1",
        Some(Json::Number(number)) => number.as_i64() == Some(1),
        _ => false,
    }
}

fn at<'j>(root: &'j Json, path: &str) -> Option<&'j Json> {
    path.split('.')
        .filter(|step| !step.is_empty())
        .try_fold(root, |value, step| match value {
            Json::Object(map) => map.get(step),
            Json::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
}

fn joined(root: &Json, paths: &str) -> String {
    let parts: Vec<String> = paths
        .split(' ')
        .filter(|path| !path.is_empty())
        .map(|path| text(at(root, path)))
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(" ")
}

/// Text, or what a number or a flag reads like.
pub(super) fn text(value: Option<&Json>) -> String {
    match value {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Number(number)) => number.to_string(),
        Some(Json::Bool(flag)) => flag.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::provider::provider;

    fn read(name: &str, user: Json) -> Option<[String; 5]> {
        let Json::Object(raw) = user else {
            unreachable!("an object");
        };
        let token = Token {
            raw: json!({"email": "of-token@example.com"})
                .as_object()
                .unwrap()
                .clone(),
            ..Token::default()
        };
        let p = Profile::read(provider(name).unwrap(), raw, &token)?;
        Some([p.id, p.name, p.username, p.email, p.avatar_url])
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a list: one entry an answer")]
    fn each_provider_is_understood() {
        let known = |id: &str, name: &str, username: &str, email: &str, avatar: &str| {
            Some([id, name, username, email, avatar].map(str::to_owned))
        };
        for (name, user, expected) in [
            (
                "google",
                json!({"sub": "1", "name": "N", "picture": "p", "email": "e", "email_verified": true}),
                known("1", "N", "", "e", "p"),
            ),
            (
                "google",
                json!({"sub": "1", "email": "e", "email_verified": false}),
                known("1", "", "", "", ""),
            ),
            (
                "microsoft",
                json!({"id": "1", "displayName": "N", "mail": "e"}),
                known("1", "N", "", "e", ""),
            ),
            (
                "yandex",
                json!({"id": "1", "real_name": "N", "login": "u", "default_avatar_id": "d", "default_email": "e"}),
                known(
                    "1",
                    "N",
                    "u",
                    "e",
                    "https://avatars.yandex.net/get-yapic/d/islands-200",
                ),
            ),
            (
                "yandex",
                json!({"id": "1", "is_avatar_empty": true, "default_avatar_id": "d"}),
                known("1", "", "", "", ""),
            ),
            (
                "facebook",
                json!({"id": "1", "name": "N", "email": "e", "picture": {"data": {"url": "p"}}}),
                known("1", "N", "", "e", "p"),
            ),
            (
                "instagram2",
                json!({"user_id": "1", "name": "N", "username": "u", "profile_picture_url": "p", "email": "x"}),
                known("1", "N", "u", "", "p"),
            ),
            (
                "github",
                json!({"id": 7, "name": "N", "login": "u", "avatar_url": "p", "email": "x"}),
                known("7", "N", "u", "", "p"),
            ),
            (
                "gitlab",
                json!({"id": 7, "name": "N", "username": "u", "avatar_url": "p", "email": "e", "confirmed_at": "2020-01-01T00:00:00.000Z"}),
                known("7", "N", "u", "e", "p"),
            ),
            (
                "gitlab",
                json!({"id": 7, "email": "e", "confirmed_at": null}),
                known("7", "", "", "", ""),
            ),
            (
                "gitlab",
                json!({"id": 7, "email": "e", "confirmed_at": "0001-01-01T00:00:00Z"}),
                known("7", "", "", "", ""),
            ),
            (
                "bitbucket",
                json!({"uuid": "{1}", "display_name": "N", "username": "u", "account_status": "active", "links": {"avatar": {"href": "p"}}}),
                known("{1}", "N", "u", "", "p"),
            ),
            (
                "bitbucket",
                json!({"uuid": "{1}", "account_status": "inactive"}),
                None,
            ),
            (
                "gitee",
                json!({"id": 7, "name": "N", "login": "u", "avatar_url": "p", "email": "e@example.com"}),
                known("7", "N", "u", "e@example.com", "p"),
            ),
            (
                "gitee",
                json!({"id": 7, "email": "none"}),
                known("7", "", "", "", ""),
            ),
            (
                "gitea",
                json!({"id": 7, "full_name": "N", "login": "u", "avatar_url": "p", "active": true}),
                known("7", "N", "u", "", "p"),
            ),
            ("gitea", json!({"id": 7, "active": false}), None),
            (
                "discord",
                json!({"id": "1", "username": "u", "discriminator": "0042", "avatar": "a", "email": "e", "verified": true}),
                known(
                    "1",
                    "u#0042",
                    "u",
                    "e",
                    "https://cdn.discordapp.com/avatars/1/a.png",
                ),
            ),
            (
                "discord",
                json!({"id": "1", "global_name": "N", "username": "u", "discriminator": "0", "avatar": null}),
                known("1", "N", "u", "", ""),
            ),
            (
                "twitter",
                json!({"data": {"id": "1", "name": "N", "username": "u", "profile_image_url": "p", "confirmed_email": "e"}}),
                known("1", "N", "u", "e", "p"),
            ),
            (
                "kakao",
                json!({"id": 7, "properties": {"nickname": "u", "profile_image": "p"}, "kakao_account": {"email": "e", "is_email_valid": true, "is_email_verified": true}}),
                known("7", "", "u", "e", "p"),
            ),
            (
                "kakao",
                json!({"id": 7, "kakao_account": {"email": "e", "is_email_valid": true}}),
                known("7", "", "", "", ""),
            ),
            (
                "vk",
                json!({"response": [{"id": 7, "first_name": "F", "last_name": "L", "screen_name": "u", "photo_max": "p"}]}),
                known("7", "F L", "u", "of-token@example.com", "p"),
            ),
            ("vk", json!({"response": []}), None),
            (
                "linear",
                json!({"data": {"viewer": {"id": "1", "name": "N", "displayName": "u", "avatarUrl": "p", "email": "e", "active": true}}}),
                known("1", "N", "u", "e", "p"),
            ),
            ("linear", json!({"data": {"viewer": {"id": "1"}}}), None),
            (
                "notion",
                json!({"bot": {"owner": {"user": {"id": "1", "name": "N", "avatar_url": "p", "person": {"email": "e"}}}}}),
                known("1", "N", "", "e", "p"),
            ),
            (
                "monday",
                json!({"data": {"me": {"id": "1", "name": "N", "photo_small": "p", "email": "e", "is_verified": true, "enabled": true}}}),
                known("1", "N", "", "e", "p"),
            ),
            (
                "monday",
                json!({"data": {"me": {"id": "1", "enabled": false}}}),
                None,
            ),
            (
                "lark",
                json!({"data": {"union_id": "1", "name": "N", "avatar_url": "p", "email": "x"}}),
                known("1", "N", "", "", "p"),
            ),
            (
                "box",
                json!({"id": "1", "name": "N", "avatar_url": "p", "login": "e", "status": "active"}),
                known("1", "N", "", "e", "p"),
            ),
            ("box", json!({"id": "1", "status": "inactive"}), None),
            (
                "spotify",
                json!({"id": "1", "display_name": "N", "images": [{"url": "p"}], "email": "x"}),
                known("1", "N", "", "", "p"),
            ),
            (
                "trakt",
                json!({"user": {"ids": {"uuid": "1"}, "name": "N", "username": "u", "images": {"avatar": {"full": "p"}}}}),
                known("1", "N", "u", "", "p"),
            ),
            (
                "twitch",
                json!({"data": [{"id": "1", "display_name": "N", "login": "u", "profile_image_url": "p", "email": "e"}]}),
                known("1", "N", "u", "e", "p"),
            ),
            (
                "patreon",
                json!({"data": {"id": "1", "attributes": {"full_name": "N", "vanity": "u", "image_url": "p", "email": "e", "is_email_verified": true}}}),
                known("1", "N", "u", "e", "p"),
            ),
            (
                "strava",
                json!({"id": 7, "firstname": "F", "lastname": "L", "username": "u", "profile": "p"}),
                known("7", "F L", "u", "", "p"),
            ),
            ("strava", json!({"id": 0}), None),
            (
                "wakatime",
                json!({"data": {"id": "1", "display_name": "N", "username": "u", "photo": "p", "photo_public": true, "email": "e", "is_email_confirmed": true}}),
                known("1", "N", "u", "e", "p"),
            ),
            (
                "livechat",
                json!({"account_id": "1", "name": "N", "avatar_url": "p", "email": "e", "email_verified": true}),
                known("1", "N", "", "e", "p"),
            ),
            (
                "mailcow",
                json!({"id": "1", "full_name": "N", "username": "u@example.com", "email": "e", "active": 1}),
                known("1", "N", "u", "e", ""),
            ),
            ("mailcow", json!({"id": "1", "active": 0}), None),
            (
                "planningcenter",
                json!({"data": {"id": "1", "attributes": {"name": "N", "avatar": "p", "status": "active"}}}),
                known("1", "N", "", "", "p"),
            ),
            (
                "planningcenter",
                json!({"data": {"id": "1", "attributes": {"status": "gone"}}}),
                None,
            ),
            (
                "oidc",
                json!({"sub": "1", "name": "N", "preferred_username": "u", "picture": "p", "email": "e", "email_verified": "true"}),
                known("1", "N", "u", "e", "p"),
            ),
            ("oidc2", json!({"sub": 7}), known("7", "", "", "", "")),
            ("oidc3", json!({"name": "N"}), None),
        ] {
            assert_eq!(read(name, user.clone()), expected, "{name} {user}");
        }
    }

    #[test]
    fn only_addresses_with_all_flags_count() {
        let list = json!([
            {"email": "a", "primary": true, "verified": false},
            {"email": "b", "primary": false, "verified": true},
            {"email": "c", "primary": true, "verified": true},
        ]);
        assert_eq!(listed(&list, &["verified", "primary"]), "c");
        let paged = json!({"values": [{"email": "a", "is_primary": true, "is_confirmed": true}]});
        assert_eq!(listed(&paged, &["is_primary", "is_confirmed"]), "a");
        assert_eq!(listed(&json!("odd"), &[]), "");
        let gitee = json!([
            {"email": "a", "state": "unconfirmed", "scope": ["primary"]},
            {"email": "b", "state": "confirmed", "scope": ["primary", "committed"]},
        ]);
        assert_eq!(listed_by_gitee(&gitee), "b");
    }
}
