//! Challenges of passkeys that wait for their answer: in memory, for minutes, each good once. Taken out before anything is
//! checked, so that whatever is wrong with an answer, its challenge is used up.

use std::collections::{HashMap, VecDeque};

use compact_str::CompactString;
use parking_lot::Mutex;
use webauthn_rs::prelude::{DiscoverableAuthentication, PasskeyRegistration};

use crate::kit::id;
use crate::kit::limits::{CEREMONIES_MAX, CEREMONY_MILLIS};
use crate::kit::time::Timestamp;
use crate::schema::{CollectionId, Record};

/// Letters of a challenge's id.
const ID_CHARS: usize = 30;

/// What a challenge is for.
#[derive(Debug)]
pub(super) enum Ceremony {
    /// A new passkey of this account, as long as its tokens are good.
    Register {
        state: Box<PasskeyRegistration>,
        account: Box<Record>,
    },
    /// A sign-in to this collection.
    SignIn {
        state: Box<DiscoverableAuthentication>,
        collection: CollectionId,
    },
}

/// The challenges. The oldest go first where there are too many.
#[derive(Debug, Default)]
pub(super) struct Ceremonies(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: HashMap<CompactString, (Timestamp, Ceremony)>,
    /// In the order in which they began; some may be used already.
    order: VecDeque<(Timestamp, CompactString)>,
}

impl Ceremonies {
    /// Keeps a challenge and gives its id.
    pub(super) fn begin(&self, ceremony: Ceremony, now: Timestamp) -> CompactString {
        let id = id::random(ID_CHARS, id::ALNUM);
        let until = now.plus_millis(CEREMONY_MILLIS);
        let mut inner = self.0.lock();
        while let Some((ends, oldest)) = inner.order.front() {
            if *ends > now && inner.order.len() < CEREMONIES_MAX {
                break;
            }
            let oldest = oldest.clone();
            inner.waiting.remove(&oldest);
            inner.order.pop_front();
        }
        inner.waiting.insert(id.clone(), (until, ceremony));
        inner.order.push_back((until, id.clone()));
        id
    }

    /// Takes a challenge out: nobody else can answer it any more.
    pub(super) fn take(&self, id: &str, now: Timestamp) -> Option<Ceremony> {
        let (until, ceremony) = self.0.lock().waiting.remove(id)?;
        (until > now).then_some(ceremony)
    }
}
