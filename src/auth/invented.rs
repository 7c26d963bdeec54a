//! Codes that were promised to addresses nobody has: nothing is stored and nothing is sent, but their ids behave as real
//! ones do (fresh up to a bound, then the newest again; tries counted by person), so that they cannot be told apart.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use parking_lot::Mutex;

use crate::kit::id;
use crate::kit::limits::{CODES_INVENTED_MAX, CODES_UNEXPIRED_MAX};
use crate::kit::time::Timestamp;

/// The invented codes of one server, the oldest forgotten first.
#[derive(Clone, Debug, Default)]
pub(super) struct Invented(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// Ids in the order they were promised; some may have expired.
    order: VecDeque<CompactString>,
    promised: HashMap<CompactString, Promise>,
    by_person: HashMap<CompactString, VecDeque<CompactString>>,
}

#[derive(Debug)]
struct Promise {
    person: CompactString,
    ends: Timestamp,
}

impl Invented {
    /// An id for `email`, which no account of `collection` has.
    pub(super) fn promise(
        &self,
        collection: &str,
        email: &str,
        now: Timestamp,
        life_secs: i64,
    ) -> CompactString {
        let person = format_compact!("{collection} {email}");
        let mut inner = self.0.lock();
        inner.forget_expired(&person, now);
        let known = inner.by_person.get(&person);
        if let Some(ids) = known.filter(|ids| ids.len() >= CODES_UNEXPIRED_MAX)
            && let Some(newest) = ids.back()
        {
            return newest.clone();
        }
        while inner.order.len() >= CODES_INVENTED_MAX {
            inner.forget_oldest();
        }
        let id = id::record_id();
        let promise = Promise {
            person: person.clone(),
            ends: now.plus_millis(life_secs.saturating_mul(1000)),
        };
        inner.order.push_back(id.clone());
        inner.promised.insert(id.clone(), promise);
        let ids = inner.by_person.entry(person).or_default();
        ids.push_back(id.clone());
        id
    }

    /// Whom the id was promised to.
    pub(super) fn person(&self, id: &str) -> Option<CompactString> {
        let inner = self.0.lock();
        inner.promised.get(id).map(|promise| promise.person.clone())
    }
}

impl Inner {
    fn forget_expired(&mut self, person: &str, now: Timestamp) {
        let Some(ids) = self.by_person.get_mut(person) else {
            return;
        };
        let promised = &mut self.promised;
        ids.retain(|id| {
            let holds = promised.get(id).is_some_and(|known| known.ends > now);
            if !holds {
                promised.remove(id);
            }
            holds
        });
        if ids.is_empty() {
            self.by_person.remove(person);
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self.order.pop_front();
        let Some(promise) = oldest.as_ref().and_then(|id| self.promised.remove(id)) else {
            return;
        };
        if let Some(ids) = self.by_person.get_mut(&promise.person) {
            ids.retain(|id| Some(id) != oldest.as_ref());
            if ids.is_empty() {
                self.by_person.remove(&promise.person);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    #[test]
    fn ids_are_fresh_up_to_the_bound_and_then_the_newest_again() {
        let invented = Invented::default();
        let ask = |now| invented.promise("users", "nobody@example.com", now, 180);
        let mut ids: Vec<_> = (0..CODES_UNEXPIRED_MAX).map(|_| ask(NOW)).collect();
        assert_eq!(ask(NOW), ids[CODES_UNEXPIRED_MAX - 1]);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), CODES_UNEXPIRED_MAX);
        let later = ask(NOW.plus_millis(180_000));
        assert!(!ids.contains(&later));
        assert_eq!(invented.person(&later).unwrap(), "users nobody@example.com");
        assert_eq!(invented.person(&ids[0]), None);
    }

    #[test]
    fn a_flood_is_bounded() {
        let invented = Invented::default();
        for n in 0..CODES_INVENTED_MAX + 10 {
            invented.promise("users", &format!("x{n}@example.com"), NOW, 180);
        }
        let inner = invented.0.lock();
        assert_eq!(inner.order.len(), CODES_INVENTED_MAX);
        assert_eq!(inner.promised.len(), CODES_INVENTED_MAX);
        assert_eq!(inner.by_person.len(), CODES_INVENTED_MAX);
    }
}
