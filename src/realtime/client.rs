//! One connection's outbox: an ordered, bounded queue between the hub and a transport.

use std::collections::VecDeque;

use bytes::Bytes;
use compact_str::CompactString;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::kit::id;
use crate::kit::limits::{REALTIME_QUEUE_BYTES_MAX, REALTIME_QUEUE_FRAMES_MAX};

/// The secret id of a connection: 40 random characters. Shown to its own client and to nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(CompactString);

impl ClientId {
    const LEN: usize = 40;

    pub(super) fn fresh() -> Self {
        Self(id::random(Self::LEN, id::ALNUM))
    }

    /// From what a client sent.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How frames are dressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Server-Sent Events: a frame is the `event:` and `data:` lines with the blank line after them.
    Sse,
    /// WebSocket: a frame is one JSON object.
    WebSocket,
}

/// Why a connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It did not read fast enough; nothing more can be sent in order.
    TooSlow,
    /// The server shuts down.
    Shutdown,
}

/// The queue of one connection. Bytes are shared with every other connection that gets the same frame.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: Mutex<Queue>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    ended: Option<Ended>,
}

impl Outbox {
    /// Adds a frame. A full queue ends the connection: dropping single frames would break the order it was promised.
    pub(super) fn push(&self, frame: Bytes) {
        let mut queue = self.queue.lock();
        if queue.ended.is_some() {
            return;
        }
        queue.bytes += frame.len();
        queue.frames.push_back(frame);
        if queue.frames.len() > REALTIME_QUEUE_FRAMES_MAX
            || queue.bytes > REALTIME_QUEUE_BYTES_MAX.max(queue_floor(&queue))
        {
            queue.frames.clear();
            queue.bytes = 0;
            queue.ended = Some(Ended::TooSlow);
        }
        drop(queue);
        self.ready.notify_one();
    }

    /// Ends the connection after what is queued.
    pub(super) fn end(&self, why: Ended) {
        let mut queue = self.queue.lock();
        queue.ended.get_or_insert(why);
        drop(queue);
        self.ready.notify_one();
    }

    /// Frames of an identity that has ended must not go out (contract 7.4): they are forgotten.
    pub(super) fn forget(&self) {
        let mut queue = self.queue.lock();
        queue.frames.clear();
        queue.bytes = 0;
    }

    /// The next frames, all that are ready; `Err` once the connection must end. Cancel-safe.
    ///
    /// # Errors
    /// The reason for the end.
    pub async fn next(&self) -> Result<Vec<Bytes>, Ended> {
        loop {
            let ready = self.ready.notified();
            {
                let mut queue = self.queue.lock();
                if !queue.frames.is_empty() {
                    queue.bytes = 0;
                    return Ok(queue.frames.drain(..).collect());
                }
                if let Some(why) = queue.ended {
                    return Err(why);
                }
            }
            ready.await;
        }
    }
}

/// A single frame may be larger than the bound on bytes (a record can be): it alone is let through.
fn queue_floor(queue: &Queue) -> usize {
    if queue.frames.len() == 1 {
        queue.bytes
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_out_in_order() {
        let outbox = Outbox::default();
        outbox.push(Bytes::from_static(b"a"));
        outbox.push(Bytes::from_static(b"b"));
        assert_eq!(
            outbox.next().await.unwrap(),
            vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")]
        );
    }

    #[tokio::test]
    async fn a_reader_that_is_too_slow_is_ended_and_holds_no_memory() {
        let outbox = Outbox::default();
        for _ in 0..=REALTIME_QUEUE_FRAMES_MAX {
            outbox.push(Bytes::from_static(b"x"));
        }
        assert_eq!(outbox.next().await, Err(Ended::TooSlow));
        outbox.push(Bytes::from_static(b"y"));
        assert_eq!(outbox.next().await, Err(Ended::TooSlow));
    }

    #[tokio::test]
    async fn one_large_frame_passes() {
        let outbox = Outbox::default();
        outbox.push(Bytes::from(vec![0; REALTIME_QUEUE_BYTES_MAX + 1]));
        assert_eq!(outbox.next().await.unwrap().len(), 1);
    }
}
