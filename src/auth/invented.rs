//! Codes that were promised to addresses nobody has: nothing is stored and nothing is sent, but their ids behave as real
//! ones do (fresh up to a bound, then the newest again; tries counted by person), so that they cannot be told apart. The
//! servers of one PostgreSQL promise together.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use parking_lot::Mutex;

use crate::kit::id;
use crate::kit::limits::{CODES_INVENTED_MAX, CODES_UNEXPIRED_MAX};
use crate::kit::time::Timestamp;
use crate::store::{Common, Note, Store, StoreError};

/// What they are called in the database.
const KIND: &str = "invented";

/// The invented codes of one server, the oldest forgotten first.
#[derive(Clone, Debug, Default)]
pub(super) struct Invented {
    common: Option<Common>,
    own: Arc<Mutex<Inner>>,
}

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
    /// For the servers of `store`.
    pub(super) fn of(store: &Store) -> Self {
        Self {
            common: store.common().cloned(),
            own: Arc::default(),
        }
    }

    /// An id for `email`, which no account of `collection` has.
    pub(super) fn promise(
        &self,
        collection: &str,
        email: &str,
        now: Timestamp,
        life_secs: i64,
    ) -> Result<CompactString, StoreError> {
        let person = format_compact!("{collection} {email}");
        if let Some(common) = &self.common {
            let ends = now.plus_millis(life_secs.saturating_mul(1000));
            return promise(common, &person, now, ends);
        }
        let mut inner = self.own.lock();
        inner.forget_expired(&person, now);
        let known = inner.by_person.get(&person);
        if let Some(ids) = known.filter(|ids| ids.len() >= CODES_UNEXPIRED_MAX)
            && let Some(newest) = ids.back()
        {
            return Ok(newest.clone());
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
        Ok(id)
    }

    /// Whom the id was promised to.
    pub(super) fn person(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<CompactString>, StoreError> {
        if let Some(common) = &self.common {
            return Ok(common.owner(KIND, id, now)?.map(CompactString::from));
        }
        let inner = self.own.lock();
        Ok(inner.promised.get(id).map(|promise| promise.person.clone()))
    }
}

/// As [`Invented::promise`], together with other servers.
fn promise(
    common: &Common,
    person: &str,
    now: Timestamp,
    ends: Timestamp,
) -> Result<CompactString, StoreError> {
    let known = common.owned(KIND, person, now)?;
    if known.len() >= CODES_UNEXPIRED_MAX
        && let Some(newest) = known.last()
    {
        return Ok(newest.into());
    }
    let id = id::record_id();
    let note = Note {
        kind: KIND,
        key: &id,
        owner: person,
        value: "",
        ends,
    };
    common.keep(note, now)?;
    Ok(id)
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
        let ask = |now| {
            let promised = invented.promise("users", "nobody@example.com", now, 180);
            promised.unwrap()
        };
        let mut ids: Vec<_> = (0..CODES_UNEXPIRED_MAX).map(|_| ask(NOW)).collect();
        assert_eq!(ask(NOW), ids[CODES_UNEXPIRED_MAX - 1]);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), CODES_UNEXPIRED_MAX);
        let later = ask(NOW.plus_millis(180_000));
        assert!(!ids.contains(&later));
        let person = |id: &str| invented.person(id, NOW).unwrap();
        assert_eq!(person(&later).unwrap(), "users nobody@example.com");
        assert_eq!(person(&ids[0]), None);
    }

    #[test]
    fn a_flood_is_bounded() {
        let invented = Invented::default();
        for n in 0..CODES_INVENTED_MAX + 10 {
            let email = format!("x{n}@example.com");
            invented.promise("users", &email, NOW, 180).unwrap();
        }
        let inner = invented.own.lock();
        assert_eq!(inner.order.len(), CODES_INVENTED_MAX);
        assert_eq!(inner.promised.len(), CODES_INVENTED_MAX);
        assert_eq!(inner.by_person.len(), CODES_INVENTED_MAX);
    }
}
