//! Burrow's own group `realtime`: what connections may hold, and who may use which channel.

use serde::{Deserialize, Serialize};

use crate::kit::limits::{
    CHANNEL_PATTERN_BYTES_MAX, CHANNEL_PATTERNS_MAX, REALTIME_CONNECTIONS_ADDRESS_MAX,
    REALTIME_CONNECTIONS_MAX, REALTIME_MESSAGE_BYTES_MAX, REALTIME_QUEUE_FRAMES_MAX,
    SUBSCRIPTIONS_MAX,
};
use crate::schema::{FieldError, FieldErrors};

/// What realtime connections may hold, and the channels there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Realtime {
    /// The channels, the first pattern that fits counts.
    pub channels: Vec<ChannelRules>,
    /// Whether an event stream that broke off gets what it missed when its client comes back at once.
    pub catch_up: bool,
    /// Open connections of the server.
    pub max_connections: i64,
    /// Open connections from one address; 0 is no limit. Loopback has none: a proxy may stand there.
    pub max_connections_per_address: i64,
    /// Subscriptions, live queries and channels of one connection.
    pub max_subscriptions: i64,
    /// Bytes of one message of a client.
    pub max_message_bytes: i64,
    /// Frames that wait for one connection before it is put back to the log.
    pub max_backlog: i64,
}

/// Who may use the channels of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChannelRules {
    /// Segments between colons; `*` is any one segment.
    pub pattern: String,
    /// Who may join; nothing is superusers only.
    pub join_rule: Option<String>,
    /// Who may publish; nothing is superusers only.
    pub publish_rule: Option<String>,
    /// Whether members see each other.
    pub presence: bool,
}

impl Default for ChannelRules {
    fn default() -> Self {
        Self {
            pattern: String::new(),
            join_rule: None,
            publish_rule: None,
            presence: true,
        }
    }
}

impl Default for Realtime {
    fn default() -> Self {
        Self {
            channels: Vec::new(),
            catch_up: true,
            max_connections: whole(REALTIME_CONNECTIONS_MAX),
            max_connections_per_address: whole(REALTIME_CONNECTIONS_ADDRESS_MAX),
            max_subscriptions: whole(SUBSCRIPTIONS_MAX),
            max_message_bytes: whole(REALTIME_MESSAGE_BYTES_MAX),
            max_backlog: whole(REALTIME_QUEUE_FRAMES_MAX),
        }
    }
}

impl Realtime {
    /// See the field; as a count.
    #[must_use]
    pub fn connections_max(&self) -> usize {
        count(self.max_connections)
    }

    /// See the field; nothing where there is no limit.
    #[must_use]
    pub fn connections_per_address_max(&self) -> Option<usize> {
        (self.max_connections_per_address > 0).then(|| count(self.max_connections_per_address))
    }

    /// See the field; as a count.
    #[must_use]
    pub fn subscriptions_max(&self) -> usize {
        count(self.max_subscriptions)
    }

    /// See the field; as a count.
    #[must_use]
    pub fn message_bytes_max(&self) -> usize {
        count(self.max_message_bytes)
    }

    /// See the field; as a count.
    #[must_use]
    pub fn backlog_max(&self) -> usize {
        count(self.max_backlog)
    }
}

/// Whether `text` may be the name of a channel: segments of letters, digits, `_`, `-` and `.` between colons.
#[must_use]
pub fn is_channel_name(text: &str) -> bool {
    text.len() <= CHANNEL_PATTERN_BYTES_MAX && text.split(':').all(is_segment)
}

/// Whether `pattern` means the channel `name`.
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split(':'), name.split(':'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return false,
        }
    }
}

fn is_segment(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

/// Everything that is wrong with the group, its rules aside.
pub(super) fn errors(group: &Realtime) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (key, value, least, most) in [
        ("maxConnections", group.max_connections, 1, 1_000_000),
        (
            "maxConnectionsPerAddress",
            group.max_connections_per_address,
            0,
            1_000_000,
        ),
        ("maxSubscriptions", group.max_subscriptions, 1, 10_000),
        ("maxMessageBytes", group.max_message_bytes, 1_024, 1 << 20),
        ("maxBacklog", group.max_backlog, 16, 65_536),
    ] {
        if !(least..=most).contains(&value) {
            let error = FieldError::new(
                "validation_out_of_range",
                format!("Must be between {least} and {most}."),
            )
            .with("min", least)
            .with("max", most);
            errors.add(key, error);
        }
    }
    if group.channels.len() > CHANNEL_PATTERNS_MAX {
        let error = FieldError::new(
            "validation_length_too_long",
            format!("The length must be no more than {CHANNEL_PATTERNS_MAX}."),
        )
        .with("min", 0)
        .with("max", CHANNEL_PATTERNS_MAX);
        errors.add("channels", error);
        return errors;
    }
    let mut channels = FieldErrors::new();
    for (at, channel) in group.channels.iter().enumerate() {
        if let Some(error) = pattern_error(&group.channels[..at], &channel.pattern) {
            channels.nest(at.to_string(), FieldErrors::one("pattern", error));
        }
    }
    errors.nest("channels", channels);
    errors
}

fn pattern_error(before: &[ChannelRules], pattern: &str) -> Option<FieldError> {
    if pattern.is_empty() {
        return Some(FieldError::required());
    }
    let whole = pattern.len() <= CHANNEL_PATTERN_BYTES_MAX
        && pattern
            .split(':')
            .all(|part| part == "*" || is_segment(part));
    if !whole {
        return Some(FieldError::new(
            "validation_match_invalid",
            "Must be segments of letters, digits, _, - and . between colons; * stands for one segment.",
        ));
    }
    before
        .iter()
        .any(|known| known.pattern == pattern)
        .then(|| FieldError::new("validation_not_unique", "The pattern is there already."))
}

fn whole(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

fn count(setting: i64) -> usize {
    usize::try_from(setting).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_exactly_one_segment() {
        for (pattern, name, expected) in [
            ("room:*", "room:a", true),
            ("room:*", "room", false),
            ("room:*", "room:a:b", false),
            ("room:*:*", "room:a:b", true),
            ("*", "lobby", true),
            ("lobby", "lobby", true),
            ("lobby", "Lobby", false),
            ("*:x", "a:y", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn names_are_plain_segments() {
        for (name, expected) in [
            ("a", true),
            ("room:1.2-x_Y", true),
            ("", false),
            ("room:", false),
            (":a", false),
            ("room:*", false),
            ("a b", false),
            ("a\nb", false),
            ("@oauth2", false),
            ("a/b", false),
        ] {
            assert_eq!(is_channel_name(name), expected, "{name:?}");
        }
        assert!(!is_channel_name(&"x".repeat(256)));
    }

    #[test]
    fn the_group_is_checked() {
        assert!(errors(&Realtime::default()).is_empty());
        let channel = |pattern: &str| ChannelRules {
            pattern: pattern.to_owned(),
            ..ChannelRules::default()
        };
        for wrong in [
            Realtime {
                max_connections: 0,
                ..Realtime::default()
            },
            Realtime {
                max_backlog: 3,
                ..Realtime::default()
            },
            Realtime {
                channels: vec![channel("room:")],
                ..Realtime::default()
            },
            Realtime {
                channels: vec![channel("a"), channel("a")],
                ..Realtime::default()
            },
        ] {
            assert!(!errors(&wrong).is_empty(), "{wrong:?}");
        }
    }
}
