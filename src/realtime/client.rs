//! One connection's outbox: an ordered, bounded queue between the hub and a transport.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use compact_str::CompactString;
use parking_lot::Mutex;

use crate::kit::id;
use crate::kit::limits::{REALTIME_QUEUE_BYTES_MAX, REALTIME_QUEUE_FRAMES_MAX};
use crate::store::Position;

/// The secret id of a connection: 40 random characters. Shown to its own client and to nobody else.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientId(CompactString);

impl std::fmt::Debug for ClientId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientId(***)")
    }
}

impl ClientId {
    pub(super) const LEN: usize = 40;

    /// A new one; where there are several servers, it begins with the name of the one that holds the connection.
    pub(super) fn fresh(holder: &str) -> Self {
        let mut text = CompactString::from(holder);
        text.push_str(&id::random(Self::LEN - holder.len(), id::ALNUM));
        Self(text)
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
    /// What it has not heard yet cannot be had any more; its client starts anew.
    Expired,
    /// The server shuts down.
    Shutdown,
    /// The server is full, and this one gave up its place.
    Crowded,
}

/// Where an event belongs, should it have to be taken back before it went out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The subscription that it is for.
    pub(super) sub: CompactString,
    /// Resuming after this place brings it again.
    pub(super) since: Position,
}

/// What a push did to the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// The queue was empty: its transport sleeps and must be woken.
    First,
    /// The transport has been woken for an earlier frame.
    Behind,
    /// As [`Pushed::Behind`], and the queue is over its bound: nothing more may be pushed until it has drained.
    Full,
}

/// The queue of one connection. Bytes are shared with every other connection that gets the same frame.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    /// Frames that may wait.
    frames_max: usize,
    /// Subscriptions of the connection that read the log.
    behind: AtomicUsize,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new(REALTIME_QUEUE_FRAMES_MAX)
    }
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<(Bytes, Option<Place>)>,
    bytes: usize,
    /// Somebody waits for the queue to drain.
    awaited: bool,
    ended: Option<Ended>,
    /// The transport, while it sleeps: there is one.
    sleeper: Option<Waker>,
}

impl Outbox {
    /// An empty one, that holds `frames_max` frames before it is full.
    pub(super) fn new(frames_max: usize) -> Self {
        Self {
            queue: Mutex::default(),
            frames_max,
            behind: AtomicUsize::new(0),
        }
    }

    /// So many more subscriptions read the log.
    pub(super) fn add_behind(&self, more: usize) {
        self.behind.fetch_add(more, Ordering::Relaxed);
    }

    /// So many fewer.
    pub(super) fn take_behind(&self, fewer: usize) {
        self.behind.fetch_sub(fewer, Ordering::Relaxed);
    }

    /// Whether all subscriptions of the connection are in the present, so that one position says where it is.
    pub(super) fn is_level(&self) -> bool {
        self.behind.load(Ordering::Relaxed) == 0
    }

    /// Frames that wait to be taken.
    pub(super) fn waiting(&self) -> usize {
        self.queue.lock().frames.len()
    }

    /// Adds an event and wakes nobody: see [`Outbox::wake`].
    pub(super) fn push_event(&self, frame: Bytes, place: Place) -> Pushed {
        let mut queue = self.queue.lock();
        if queue.ended.is_some() {
            return Pushed::Behind;
        }
        let first = queue.frames.is_empty();
        queue.bytes += frame.len();
        queue.frames.push_back((frame, Some(place)));
        if first {
            // However large: a single record may exceed the bound on bytes.
            Pushed::First
        } else if queue.frames.len() >= self.frames_max || queue.bytes >= REALTIME_QUEUE_BYTES_MAX {
            Pushed::Full
        } else {
            Pushed::Behind
        }
    }

    /// Adds a frame that is no event of a subscription: an answer is never taken back.
    pub(super) fn push(&self, frame: Bytes) {
        let mut queue = self.queue.lock();
        if queue.ended.is_some() {
            return;
        }
        queue.bytes += frame.len();
        queue.frames.push_back((frame, None));
        drop(queue);
        self.wake();
    }

    /// Wakes the transport.
    pub(super) fn wake(&self) {
        let sleeper = self.queue.lock().sleeper.take();
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }

    /// Ends the connection after what is queued.
    pub(super) fn end(&self, why: Ended) {
        self.queue.lock().ended.get_or_insert(why);
        self.wake();
    }

    /// Takes back the events that have not gone out: those of an identity that has ended must not (security S05).
    /// Gives the first lost place of each subscription.
    pub(super) fn take_back(&self) -> Vec<Place> {
        let mut lost: Vec<Place> = Vec::new();
        let mut queue = self.queue.lock();
        let kept = std::mem::take(&mut queue.frames)
            .into_iter()
            .filter_map(|(frame, place)| match place {
                None => Some((frame, None)),
                Some(place) => {
                    match lost.iter_mut().find(|known| known.sub == place.sub) {
                        Some(known) => known.since = known.since.min(place.since),
                        None => lost.push(place),
                    }
                    None
                }
            })
            .collect::<VecDeque<_>>();
        queue.bytes = kept.iter().map(|(frame, _)| frame.len()).sum();
        queue.frames = kept;
        lost
    }

    /// Whether the queue is within its bounds.
    pub(super) fn has_room(&self) -> bool {
        let queue = self.queue.lock();
        queue.frames.len() < self.frames_max && queue.bytes < REALTIME_QUEUE_BYTES_MAX
    }

    /// Whether everything queued has been taken. If not, the next drain is reported by [`Outbox::poll_next`].
    pub(super) fn drained_or_await(&self) -> bool {
        let mut queue = self.queue.lock();
        queue.awaited = !queue.frames.is_empty();
        !queue.awaited
    }

    /// Adds the next frames to `into`, all that are ready, and tells whether somebody waited for this drain; `Err` once
    /// the connection must end. Wakes the last one who asked.
    pub(super) fn poll_next(
        &self,
        context: &Context<'_>,
        into: &mut Vec<Bytes>,
    ) -> Poll<Result<bool, Ended>> {
        /// Room for so many frames stays: making it anew for each event costs more than the event.
        const ROOM_KEPT: usize = 4;
        let mut queue = self.queue.lock();
        if !queue.frames.is_empty() {
            queue.bytes = 0;
            into.extend(queue.frames.drain(..).map(|(frame, _)| frame));
            if queue.frames.capacity() > ROOM_KEPT {
                queue.frames = VecDeque::new();
            }
            return Poll::Ready(Ok(std::mem::take(&mut queue.awaited)));
        }
        if let Some(why) = queue.ended {
            return Poll::Ready(Err(why));
        }
        let asks = context.waker();
        if !queue.sleeper.as_ref().is_some_and(|s| s.will_wake(asks)) {
            queue.sleeper = Some(asks.clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// The next frames, and whether somebody waited for them to be taken.
    async fn next(outbox: &Outbox) -> Result<(Vec<Bytes>, bool), Ended> {
        let mut frames = Vec::new();
        let awaited = poll_fn(|context| outbox.poll_next(context, &mut frames)).await?;
        Ok((frames, awaited))
    }

    fn place(since: u64) -> Place {
        Place {
            sub: "1".into(),
            since: Position(since),
        }
    }

    #[tokio::test]
    async fn frames_come_out_in_order() {
        let outbox = Outbox::default();
        outbox.push(Bytes::from_static(b"a"));
        assert_eq!(
            outbox.push_event(Bytes::from_static(b"b"), place(1)),
            Pushed::Behind
        );
        assert_eq!(
            next(&outbox).await.unwrap().0,
            vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")]
        );
    }

    #[test]
    fn a_queue_over_its_bound_says_so() {
        let outbox = Outbox::default();
        let push = || outbox.push_event(Bytes::from_static(b"x"), place(1));
        assert_eq!(push(), Pushed::First);
        for _ in 2..REALTIME_QUEUE_FRAMES_MAX {
            assert_eq!(push(), Pushed::Behind);
        }
        assert_eq!(push(), Pushed::Full);
    }

    #[test]
    fn one_large_frame_is_not_too_much() {
        let outbox = Outbox::default();
        let large = Bytes::from(vec![0; REALTIME_QUEUE_BYTES_MAX + 1]);
        assert_eq!(outbox.push_event(large, place(1)), Pushed::First);
    }

    #[tokio::test]
    async fn events_are_taken_back_and_answers_are_not() {
        let outbox = Outbox::default();
        outbox.push_event(Bytes::from_static(b"secret"), place(7));
        outbox.push(Bytes::from_static(b"answer"));
        outbox.push_event(Bytes::from_static(b"secret"), place(8));

        assert_eq!(outbox.take_back(), vec![place(7)]);

        assert!(!outbox.drained_or_await());
        assert_eq!(
            next(&outbox).await.unwrap(),
            (vec![Bytes::from_static(b"answer")], true)
        );
        assert!(outbox.drained_or_await());
    }
}
