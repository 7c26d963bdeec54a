//! How often a client may ask: fixed windows by rule and address, in memory (contract-auth 6.4); what has to do with
//! signing in is counted together by the servers of one PostgreSQL.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::settings::{InForce, RateRule, Settings};
use crate::call::{Actor, Call};
use crate::kit::address::network_of;
use crate::kit::limits::RATE_WINDOWS_MAX;
use crate::schema::Collection;
use crate::store::{Common, StoreError};

/// Actions that each server counts for itself; all others have to do with signing in.
const ON_RECORDS: [&str; 6] = ["list", "view", "create", "update", "delete", "file"];

/// The limiter. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Limiter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    common: Option<Common>,
    windows: Mutex<Windows>,
}

#[derive(Debug, Default)]
struct Windows {
    /// The rules that the windows were counted under: other rules start anew, other settings do not.
    rules: Vec<RateRule>,
    by_key: HashMap<Key, Window>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    bucket: String,
    /// `None` is everybody for whom there was no room any more.
    client: Option<IpAddr>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    start_secs: i64,
    end_secs: i64,
    used: i64,
}

/// Where a caller stands under the rule that binds a request, if one does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing(pub Option<Count>);

/// What is left of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Requests of a window.
    pub limit: i64,
    /// Those that may still come; negative when this one was too many.
    pub left: i64,
    /// Seconds until the next window.
    pub reset_secs: i64,
}

impl Standing {
    /// Whether the request may go on.
    #[must_use]
    pub fn is_admitted(self) -> bool {
        self.0.is_none_or(|count| count.left >= 0)
    }
}

impl Limiter {
    /// A limiter under `settings`, beside those of other servers that `common` is of.
    #[must_use]
    pub fn new(settings: Settings, common: Option<Common>) -> Self {
        Self(Arc::new(Inner {
            settings,
            common,
            windows: Mutex::default(),
        }))
    }

    /// Whether limits are on and bind this caller.
    #[must_use]
    pub fn binds(&self, call: &Call) -> bool {
        let settings = self.0.settings.current();
        settings.rate_limits.enabled
            && !call.actor.is_superuser()
            && !settings
                .excluded_networks
                .iter()
                .any(|network| network.contains(&call.client_ip))
    }

    /// Counts a request to a path.
    #[must_use]
    pub fn count_path(&self, call: &Call, path: &str) -> Standing {
        let candidates = [format!("{} {path}", call.method), path.to_owned()];
        self.count(call, &candidates, false, |rule| {
            format!("{}{}", rule.label, rule.audience)
        })
    }

    /// Counts an action on a collection, asked for by `path`. Every spelling of the collection in the path shares one
    /// window.
    #[must_use]
    pub fn count_action(
        &self,
        call: &Call,
        collection: &Collection,
        actions: &[&str],
        path: &str,
    ) -> Standing {
        let own = actions
            .iter()
            .map(|action| format!("{}:{action}", collection.name));
        let any = actions.iter().map(|action| format!("*:{action}"));
        let candidates: Vec<String> = own
            .chain(any)
            .chain([format!("{} {path}", call.method), path.to_owned()])
            .collect();
        let together = !actions.iter().any(|action| ON_RECORDS.contains(action));
        self.count(call, &candidates, together, |rule| {
            format!(
                "{} {} {}",
                collection.id.as_str(),
                actions.join(" "),
                rule.audience
            )
        })
    }

    fn count(
        &self,
        call: &Call,
        candidates: &[String],
        together: bool,
        bucket: impl Fn(&RateRule) -> String,
    ) -> Standing {
        let settings = self.0.settings.current();
        let Some(rule) = rule_for(&settings, &call.actor, candidates) else {
            return Standing::default();
        };
        if let Some(common) = self.0.common.as_ref().filter(|_| together) {
            match counted(common, &bucket(rule), call, rule) {
                Ok(standing) => return standing,
                // Then at least this server counts.
                Err(error) => tracing::warn!(%error, "a request cannot be counted together"),
            }
        }
        let mut windows = self.0.windows.lock();
        if windows.rules != settings.rate_limits.rules {
            windows.by_key.clear();
            windows.rules.clone_from(&settings.rate_limits.rules);
        }
        windows.take(bucket(rule), call, rule)
    }
}

/// Counts together with other servers.
fn counted(
    common: &Common,
    bucket: &str,
    call: &Call,
    rule: &RateRule,
) -> Result<Standing, StoreError> {
    let (now, network) = (call.now, network_of(call.client_ip));
    // Another rule is another count.
    let key = format!(
        "rate {}/{} {bucket} {network}",
        rule.max_requests, rule.duration
    );
    let window = (key.as_str(), rule.duration.saturating_mul(1_000));
    let (counts, _) = common.count(&[window], now, |_| true)?;
    Ok(Standing(counts.first().map(|count| {
        Count {
            limit: rule.max_requests,
            left: rule.max_requests.saturating_sub(count.used),
            reset_secs: (count.ends.as_millis() - now.as_millis())
                .max(0)
                .div_euclid(1_000),
        }
    })))
}

impl Windows {
    fn take(&mut self, bucket: String, call: &Call, rule: &RateRule) -> Standing {
        let now = call.now.as_secs();
        let mut key = Key {
            bucket,
            client: Some(network_of(call.client_ip)),
        };
        if self.by_key.len() >= RATE_WINDOWS_MAX && !self.by_key.contains_key(&key) {
            self.by_key.retain(|_, window| now < window.end_secs);
            // Nobody's counter is thrown away while it runs: further clients share one instead.
            if self.by_key.len() >= RATE_WINDOWS_MAX {
                key.client = None;
            }
        }
        let fresh = Window {
            start_secs: now,
            end_secs: now.saturating_add(rule.duration),
            used: 0,
        };
        let window = self.by_key.entry(key).or_insert(fresh);
        // A clock that was set back must not lock anybody out for longer than a window.
        if now >= window.end_secs || now < window.start_secs {
            *window = fresh;
        }
        window.used = window.used.saturating_add(1);
        Standing(Some(Count {
            limit: rule.max_requests,
            left: rule.max_requests.saturating_sub(window.used),
            reset_secs: window.end_secs - now,
        }))
    }
}

/// The one rule that applies: for each candidate a rule of that label, else the first rule that is a prefix of it.
fn rule_for<'a>(
    settings: &'a InForce,
    actor: &Actor,
    candidates: &[String],
) -> Option<&'a RateRule> {
    let audience = match actor {
        Actor::Guest => "@guest",
        Actor::Auth(_) => "@auth",
    };
    let fits = |rule: &&RateRule| rule.audience.is_empty() || rule.audience == audience;
    let rules = || settings.rate_limits.rules.iter().filter(fits);
    candidates.iter().find_map(|candidate| {
        rules()
            .find(|rule| rule.label == *candidate)
            .or_else(|| rules().find(|rule| is_prefix(&rule.label, candidate)))
    })
}

fn is_prefix(label: &str, candidate: &str) -> bool {
    label
        .strip_suffix('/')
        .is_some_and(|_| candidate.starts_with(label) || candidate == &label[..label.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::time::Timestamp;

    fn rule(label: &str, audience: &str, max_requests: i64) -> RateRule {
        RateRule {
            label: label.to_owned(),
            audience: audience.to_owned(),
            duration: 10,
            max_requests,
        }
    }

    fn settings(rules: Vec<RateRule>) -> InForce {
        let mut document = super::super::settings::Document::defaults();
        document.rate_limits.rules = rules;
        InForce::new(document)
    }

    fn call_at(secs: i64, ip: &str) -> Call {
        let mut call = Call::new(Actor::Guest, Timestamp::from_millis(secs * 1000));
        call.client_ip = ip.parse().unwrap();
        call
    }

    #[test]
    fn the_first_fitting_rule_counts_prefixes_in_order() {
        let settings = settings(vec![
            rule("/api/", "", 1),
            rule("/api/batch", "@auth", 2),
            rule("POST /api/batch", "@guest", 3),
            rule("/api/files/", "", 4),
        ]);
        let max = |candidates: &[&str]| {
            let owned: Vec<String> = candidates.iter().map(|c| (*c).to_owned()).collect();
            rule_for(&settings, &Actor::Guest, &owned).map(|rule| rule.max_requests)
        };
        assert_eq!(max(&["POST /api/batch", "/api/batch"]), Some(3));
        assert_eq!(max(&["GET /api/batch", "/api/batch"]), Some(1));
        assert_eq!(max(&["GET /api/files/x", "/api/files/x"]), Some(1));
        assert_eq!(max(&["GET /api", "/api"]), Some(1));
        assert_eq!(max(&["GET /x", "/x"]), None);
    }

    #[test]
    fn windows_are_fixed_and_of_one_client() {
        let mut windows = Windows::default();
        let rule = rule("a", "", 2);
        let mut count = |secs, ip| windows.take("a".to_owned(), &call_at(secs, ip), &rule);
        let first = Count {
            limit: 2,
            left: 1,
            reset_secs: 10,
        };
        assert_eq!(count(90, "9.9.9.9"), Standing(Some(first)));
        let mut take = |secs, ip| count(secs, ip).is_admitted();
        assert!(take(100, "1.2.3.4"));
        assert!(take(101, "::ffff:1.2.3.4"));
        assert!(!take(109, "1.2.3.4"));
        assert!(take(109, "1.2.3.5"));
        assert!(take(110, "1.2.3.4"));
        assert!(take(110, "2001:db8::1"));
        assert!(take(110, "2001:db8::2"));
        assert!(!take(110, "2001:db8::3"));
        assert!(take(50, "2001:db8::3"));
    }
}
