//! One message of the server to one event stream that waits for it: not a change of a record, and nothing that a client
//! could have sent.

use std::net::IpAddr;

use super::client::{ClientId, Transport};
use super::frame;
use super::hub::Hub;
use crate::kit::json::{self, Json};

impl Hub {
    /// Tells `client` of `told` and ends its subscription of `topic`. Only if it waits for that, and was opened from
    /// `address`; whether it was told.
    #[must_use]
    pub fn tell_once(&self, client: &ClientId, address: IpAddr, topic: &str, told: &Json) -> bool {
        let mut roster = self.0.roster.lock();
        let Some(found) = roster.client(client) else {
            return false;
        };
        if found.transport != Transport::Sse || found.address != address {
            return false;
        }
        let waiting: Vec<_> = found
            .subs
            .iter()
            .filter_map(|sub| Some((sub.id.clone(), sub.topic.as_ref()?)))
            .filter(|(_, known)| known.record.is_none() && known.collection == topic)
            .map(|(id, known)| (id, known.text.clone()))
            .collect();
        let Some((_, name)) = waiting.first() else {
            return false;
        };
        let message = frame::sse_message(name, json::to_text(told).as_bytes());
        self.0.reply(&roster, client, message);
        for (id, _) in &waiting {
            roster.unsubscribe(client, id);
        }
        true
    }
}
