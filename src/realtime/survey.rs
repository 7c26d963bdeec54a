//! The present state of the hub, for superusers: counts, and connections without their secret ids.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use compact_str::CompactString;

use super::channel::Count;
use super::client::Transport;
use super::hub::Hub;
use super::stats::Rates;
use crate::kit::time::Timestamp;

/// Connections that one survey lists.
const LISTED_MAX: usize = 200;
/// Topics that one survey lists.
const TOPICS_MAX: usize = 50;

/// What there is and what happens.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Open WebSockets.
    pub web_sockets: usize,
    /// Open event streams.
    pub streams: usize,
    /// Of both, those that are signed in.
    pub signed_in: usize,
    /// How many there may be.
    pub connections_max: usize,
    /// Subscriptions of all connections.
    pub subscriptions: usize,
    /// Groups of subscribers that are judged as one.
    pub groups: usize,
    /// Subscriptions that read the log at present.
    pub replaying: usize,
    /// Channels.
    pub channels: Count,
    /// Changes given out since the start.
    pub events: u64,
    /// Groups that were judged for a change since the start.
    pub judged: u64,
    /// Frames sent since the start.
    pub frames: u64,
    /// Messages published in channels since the start.
    pub messages: u64,
    /// Readers that were put back to the log since the start.
    pub put_back: u64,
    /// Resets since the start.
    pub resets: u64,
    /// Events and frames a second.
    pub rates: Rates,
    /// How old the last changes were when everybody had them.
    pub lag: Duration,
    /// Changes that are committed and not given out yet.
    pub waiting: u64,
    /// The topics with the most subscriptions.
    pub topics: Vec<TopicCount>,
    /// The latest connections.
    pub latest: Vec<Seen>,
}

/// A topic and who listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicCount {
    /// `COLLECTION/*` or `COLLECTION/RECORD`, without options.
    pub topic: CompactString,
    /// Its subscriptions.
    pub subscriptions: usize,
}

/// A connection as superusers see it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How it is connected.
    pub transport: Transport,
    /// From where.
    pub address: IpAddr,
    /// Since when.
    pub since: Timestamp,
    /// As whom: collection and id.
    pub person: Option<(CompactString, CompactString)>,
    /// Its subscriptions.
    pub subscriptions: usize,
    /// Frames that wait for it.
    pub waiting: usize,
}

impl Hub {
    /// Looks at everything at once.
    #[must_use]
    pub fn survey(&self) -> Survey {
        let inner = &self.0;
        let roster = inner.roster.lock();
        let mut survey = Survey {
            web_sockets: 0,
            streams: 0,
            signed_in: 0,
            connections_max: inner.settings.current().realtime.connections_max(),
            subscriptions: 0,
            groups: roster.group_count(),
            replaying: 0,
            channels: inner.channels.count(),
            events: inner.stats.events.load(Ordering::Relaxed),
            judged: inner.stats.judged.load(Ordering::Relaxed),
            frames: inner.stats.frames.load(Ordering::Relaxed),
            messages: inner.stats.messages.load(Ordering::Relaxed),
            put_back: inner.stats.put_back.load(Ordering::Relaxed),
            resets: inner.stats.resets.load(Ordering::Relaxed),
            rates: inner.stats.rates(),
            lag: inner.stats.lag(),
            waiting: 0,
            topics: Vec::new(),
            latest: Vec::new(),
        };
        if roster.len() > 0 {
            let head = inner.store.head().position.0;
            survey.waiting = head.saturating_sub(inner.seen().0);
        }
        let mut topics: HashMap<CompactString, usize> = HashMap::new();
        for (_, client) in roster.clients() {
            match client.transport {
                Transport::Sse => survey.streams += 1,
                Transport::WebSocket => survey.web_sockets += 1,
            }
            survey.signed_in += usize::from(client.actor.record().is_some());
            survey.subscriptions += client.subs.len();
            for sub in &client.subs {
                survey.replaying += usize::from(sub.replay.is_some());
                if let Some(topic) = &sub.topic {
                    let (path, _) = topic.text.split_once('?').unwrap_or((&topic.text, ""));
                    *topics.entry(path.into()).or_default() += 1;
                }
            }
            survey.latest.push(Seen {
                transport: client.transport,
                address: client.address,
                since: client.since,
                person: client.actor.record().map(|record| {
                    let collection = record.collection().name.clone();
                    (collection, record.id().into())
                }),
                subscriptions: client.subs.len(),
                waiting: client.outbox.waiting(),
            });
        }
        drop(roster);
        survey
            .latest
            .sort_by_key(|seen| std::cmp::Reverse(seen.since));
        survey.latest.truncate(LISTED_MAX);
        survey.topics = most(topics);
        survey
    }
}

/// The topics with the most subscriptions.
fn most(topics: HashMap<CompactString, usize>) -> Vec<TopicCount> {
    let mut most: Vec<TopicCount> = topics
        .into_iter()
        .map(|(topic, subscriptions)| TopicCount {
            topic,
            subscriptions,
        })
        .collect();
    most.sort_by(|a, b| {
        let more = b.subscriptions.cmp(&a.subscriptions);
        more.then_with(|| a.topic.cmp(&b.topic))
    });
    most.truncate(TOPICS_MAX);
    most
}
