//! Event streams of signed-in clients that broke off: who comes back at once, as the same person from the same place
//! with the same topics, gets what he missed. The unmodified SDK says nothing of where it was, so that this is all there
//! is to know it by. Never for guests: behind one address there are many, and nothing tells them apart.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use parking_lot::Mutex;

use super::groups::Person;
use super::roster::Client;
use super::topic::Topic;
use crate::call::Actor;
use crate::kit::limits::{CATCH_UP_MILLIS_MAX, CATCH_UP_STREAMS_MAX};
use crate::kit::time::Timestamp;
use crate::store::Position;

/// What a client is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Mark {
    person: Person,
    address: IpAddr,
    /// Of the user agent and the topics, only a number is kept: who makes two of them equal fools nobody but himself.
    likeness: u64,
}

/// The places of streams that broke off, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Comebacks(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    places: HashMap<Mark, VecDeque<(Position, Timestamp)>>,
    order: VecDeque<Mark>,
}

impl Mark {
    /// That of a client with these topics; none for guests and for who listens to nothing.
    pub(super) fn of<'t>(
        actor: &Actor,
        address: IpAddr,
        agent: u64,
        topics: impl Iterator<Item = &'t Topic>,
    ) -> Option<Self> {
        let person = Person::of(actor)?;
        let mut texts: Vec<&str> = topics.map(|topic| topic.text.as_str()).collect();
        if texts.is_empty() {
            return None;
        }
        texts.sort_unstable();
        Some(Self {
            person,
            address,
            likeness: likeness(&(agent, texts)),
        })
    }

    /// That of a stream as it stands.
    pub(super) fn of_client(client: &Client) -> Option<Self> {
        let topics = client.subs.iter().filter_map(|sub| sub.topic.as_deref());
        Self::of(&client.actor, client.address, client.agent, topics)
    }
}

/// A number for something, the same for what is equal.
pub(super) fn likeness(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

impl Comebacks {
    /// Forgets everybody: the places are of another log.
    pub(super) fn forget(&self) {
        *self.0.lock() = Inner::default();
    }

    /// Notes where a stream broke off.
    pub(super) fn remember(&self, mark: Mark, place: Position, now: Timestamp) {
        let mut inner = self.0.lock();
        while inner.order.len() >= CATCH_UP_STREAMS_MAX {
            let Some(oldest) = inner.order.pop_front() else {
                break;
            };
            inner.forget_one(&oldest);
        }
        inner.order.push_back(mark.clone());
        inner
            .places
            .entry(mark)
            .or_default()
            .push_back((place, now));
    }

    /// Where a stream of this mark broke off within the last minute: each is given once.
    pub(super) fn take(&self, mark: &Mark, now: Timestamp) -> Option<Position> {
        let mut inner = self.0.lock();
        loop {
            let (place, at) = inner.forget_one(mark)?;
            if let Some(index) = inner.order.iter().position(|known| known == mark) {
                inner.order.remove(index);
            }
            if now.as_millis() - at.as_millis() <= CATCH_UP_MILLIS_MAX {
                return Some(place);
            }
        }
    }
}

impl Inner {
    fn forget_one(&mut self, mark: &Mark) -> Option<(Position, Timestamp)> {
        let places = self.places.get_mut(mark)?;
        let first = places.pop_front();
        if places.is_empty() {
            self.places.remove(mark);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{CollectionId, RecordId};

    fn mark(id: &str) -> Mark {
        Mark {
            person: Person {
                collection: CollectionId::new("users"),
                record: RecordId::new(id),
                key: None,
            },
            address: IpAddr::from([10, 0, 0, 1]),
            likeness: 7,
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_place_is_given_once_and_within_a_minute() {
        let comebacks = Comebacks::default();
        comebacks.remember(mark("ann"), Position(3), at(0));
        comebacks.remember(mark("ann"), Position(5), at(10));
        comebacks.remember(mark("bob"), Position(4), at(10));

        assert_eq!(comebacks.take(&mark("ann"), at(20)), Some(Position(3)));
        assert_eq!(comebacks.take(&mark("ann"), at(20)), Some(Position(5)));
        assert_eq!(comebacks.take(&mark("ann"), at(20)), None);
        assert_eq!(comebacks.take(&mark("bob"), at(60_011)), None);
        assert!(comebacks.0.lock().order.is_empty());
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let comebacks = Comebacks::default();
        for n in 0..=CATCH_UP_STREAMS_MAX {
            comebacks.remember(mark(&n.to_string()), Position(1), at(0));
        }

        assert_eq!(comebacks.take(&mark("0"), at(0)), None);
        assert_eq!(comebacks.take(&mark("1"), at(0)), Some(Position(1)));
    }
}
