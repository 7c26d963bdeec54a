//! The past for those who are behind: one thread, one step of one subscription at a time, each at the pace of its
//! connection. A subscription joins the present at the very place where its past ends: no gap, nothing twice.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::client::{ClientId, Ended, Outbox, Place, Transport};
use super::frame;
use super::hub::Inner;
use super::identity;
use super::replay::{self, Listener, Progress, Step};
use super::roster::{Past, Replaying, Roster};
use super::stats;
use super::topic::Topic;
use super::worker::AGAIN;
use crate::call::Actor;
use crate::records;
use crate::store::{Position, ReadTx, Snapshot, StoreError};

/// How long a quiet replayer keeps its connection to the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// One subscription on its way through the log.
pub(super) struct Replay {
    client: ClientId,
    sub: CompactString,
    cohort: u64,
    /// Where it began.
    origin: Position,
    progress: Progress,
}

/// Those that wait for a step.
#[derive(Default)]
pub(super) struct Replays {
    queues: Mutex<Queues>,
    ready: Condvar,
    next: AtomicU64,
}

#[derive(Default)]
struct Queues {
    ready: VecDeque<Replay>,
    /// Those whose connection has to read first.
    parked: HashMap<ClientId, Vec<Replay>>,
    closed: bool,
}

/// What the thread finds when it looks.
enum Next {
    Replay(Box<Replay>),
    Quiet,
    Closed,
}

impl Replays {
    /// A place in the log under a number of its own, for [`Replays::add`].
    pub(super) fn reserve(&self, safe: Position) -> Replaying {
        Replaying {
            cohort: self.next.fetch_add(1, Ordering::Relaxed),
            safe,
        }
    }

    /// Lets a subscription hear what came after its place.
    pub(super) fn add(&self, client: &ClientId, sub: CompactString, replay: Replaying) {
        self.push(Replay {
            client: client.clone(),
            sub,
            cohort: replay.cohort,
            origin: replay.safe,
            progress: Progress::from(replay.safe),
        });
    }

    fn push(&self, replay: Replay) {
        self.queues.lock().ready.push_back(replay);
        self.ready.notify_one();
    }

    /// Keeps `replay` until its connection has read what is queued for it.
    fn park(&self, replay: Replay, outbox: &Outbox) {
        let client = replay.client.clone();
        let mut queues = self.queues.lock();
        queues
            .parked
            .entry(client.clone())
            .or_default()
            .push(replay);
        drop(queues);
        if outbox.drained_or_await() {
            self.resume(&client);
        }
    }

    /// A connection has read.
    pub(super) fn resume(&self, client: &ClientId) {
        let mut queues = self.queues.lock();
        if let Some(replays) = queues.parked.remove(client) {
            queues.ready.extend(replays);
            self.ready.notify_one();
        }
    }

    /// A connection is gone.
    pub(super) fn forget(&self, client: &ClientId) {
        let mut queues = self.queues.lock();
        queues.parked.remove(client);
        queues.ready.retain(|replay| replay.client != *client);
    }

    /// Lets the thread end.
    pub(super) fn close(&self) {
        self.queues.lock().closed = true;
        self.ready.notify_all();
    }

    fn next(&self) -> Next {
        let mut queues = self.queues.lock();
        if queues.ready.is_empty() && !queues.closed {
            self.ready.wait_for(&mut queues, PATIENCE);
        }
        if queues.closed {
            return Next::Closed;
        }
        match queues.ready.pop_front() {
            Some(replay) => Next::Replay(Box::new(replay)),
            None => Next::Quiet,
        }
    }
}

/// What is to be done with a subscription after a step.
enum After {
    Done,
    Again,
    /// Its connection has to read first.
    Park(Arc<Outbox>),
}

/// Whose past it is, as of one moment.
struct Hearer {
    transport: Transport,
    actor: Actor,
    generation: u64,
    outbox: Arc<Outbox>,
    topic: Arc<Topic>,
    alone: bool,
}

impl Inner {
    /// Works until it is told to close.
    pub(super) fn replay(&self) {
        let mut snapshot: Option<Snapshot> = None;
        loop {
            match self.replays.next() {
                Next::Closed => return,
                Next::Quiet => snapshot = None,
                Next::Replay(mut replay) => {
                    let step = AssertUnwindSafe(|| self.advance(&mut snapshot, &mut replay));
                    let done = catch_unwind(step).unwrap_or(Err(StoreError::Closed.into()));
                    match done {
                        Ok(After::Done) => {}
                        Ok(After::Again) => self.replays.push(*replay),
                        Ok(After::Park(outbox)) => self.replays.park(*replay, &outbox),
                        // It goes on where it was once the database is back.
                        Err(records::Error::Store(error)) if error.is_passing() => {
                            tracing::warn!(%error, "realtime: the past cannot be read now");
                            self.replays.push(*replay);
                            std::thread::sleep(AGAIN);
                        }
                        Err(error) => {
                            tracing::warn!(%error, "realtime: the past cannot be read");
                            let mut roster = self.roster.lock();
                            self.reset(&mut roster, &replay.client, &replay.sub);
                        }
                    }
                    if let Some(snapshot) = &mut snapshot
                        && let Err(error) = snapshot.rest()
                    {
                        tracing::warn!(%error, "realtime: a snapshot could not be let go");
                    }
                }
            }
        }
    }

    /// Puts all live subscriptions of a connection back to the log, after `since`.
    pub(super) fn put_back(&self, roster: &mut Roster, id: &ClientId, since: Position) {
        let live: Vec<CompactString> = roster
            .client(id)
            .into_iter()
            .flat_map(|client| &client.subs)
            .filter(|sub| sub.topic.is_some() && sub.replay.is_none())
            .map(|sub| sub.id.clone())
            .collect();
        for sub in live {
            self.put_back_one(roster, id, sub, since);
        }
    }

    /// Puts one subscription, if it is still there, back to the log after `since`.
    pub(super) fn put_back_one(
        &self,
        roster: &mut Roster,
        id: &ClientId,
        sub: CompactString,
        since: Position,
    ) {
        let there = roster
            .client(id)
            .into_iter()
            .flat_map(|client| &client.subs)
            .any(|known| known.id == sub && known.topic.is_some());
        if there {
            let replay = self.replays.reserve(since);
            roster.park(id, &sub, replay);
            self.replays.add(id, sub, replay);
        }
    }

    /// No past of a connection counts any more.
    pub(super) fn reset_all(&self, roster: &mut Roster, id: &ClientId) {
        let subs: Vec<CompactString> = roster
            .client(id)
            .into_iter()
            .flat_map(|client| &client.subs)
            .filter(|sub| sub.topic.is_some())
            .map(|sub| sub.id.clone())
            .collect();
        for sub in subs {
            // Out of its group, into which it comes back at once; a replay of it finds itself forgotten.
            roster.park(id, &sub, self.replays.reserve(self.seen()));
            self.reset(roster, id, &sub);
        }
    }

    /// One step for one subscription.
    fn advance(
        &self,
        snapshot: &mut Option<Snapshot>,
        replay: &mut Replay,
    ) -> Result<After, records::Error> {
        let Some(hearer) = hearer(&self.roster.lock(), replay) else {
            return Ok(After::Done);
        };
        if !hearer.outbox.drained_or_await() {
            return Ok(After::Park(hearer.outbox));
        }
        if snapshot.is_none() {
            *snapshot = Some(self.store.snapshot()?);
        }
        let Some(snapshot) = snapshot else {
            return Ok(After::Done);
        };
        let mut head = snapshot.refresh()?;
        let mut step = self.step(&snapshot.tx(), &hearer, replay)?;
        let mut roster = self.roster.lock();
        if is_stale(&roster, &hearer, replay) {
            // What was folded was folded for what another one may see.
            replay.progress = Progress::from(replay.progress.safe());
            return Ok(After::Again);
        }
        loop {
            let Some(level) = self.tell(&mut roster, &hearer, replay, step) else {
                return Ok(After::Done);
            };
            if !level {
                return Ok(After::Again);
            }
            if head >= self.seen() {
                let catalog = self.store.catalog();
                roster.go_live(&catalog, &replay.client, &replay.sub, head);
                return Ok(After::Done);
            }
            // The present has moved on meanwhile; while the roster is held it cannot, so this is the last step.
            head = snapshot.refresh()?;
            step = self.step(&snapshot.tx(), &hearer, replay)?;
        }
    }

    fn step(
        &self,
        tx: &ReadTx<'_>,
        hearer: &Hearer,
        replay: &Replay,
    ) -> Result<Step, records::Error> {
        let now = self.clock.now();
        // The roster's identity may lag behind the snapshot: a person that has changed in it is judged as changed.
        let actor = identity::present(tx, &hearer.actor, now)?;
        let listener = Listener {
            tx,
            now,
            transport: hearer.transport,
            actor: &actor,
            sub: &replay.sub,
            topic: &hearer.topic,
            alone: hearer.alone,
            seal: &|position| self.seal(position),
        };
        replay::step(&listener, replay.progress.clone())
    }

    /// Queues what a step found; whether it was the end of the log, nothing when the subscription is done with it.
    fn tell(
        &self,
        roster: &mut MutexGuard<'_, Roster>,
        hearer: &Hearer,
        replay: &mut Replay,
        step: Step,
    ) -> Option<bool> {
        let Step::Told {
            frames,
            progress,
            level,
        } = step
        else {
            self.reset(roster, &replay.client, &replay.sub);
            return None;
        };
        // Should the frames be taken back, what was carried into this step is needed again as well.
        let since = if replay.progress.safe() == replay.progress.reached {
            replay.progress.reached
        } else {
            replay.origin
        };
        queue(&hearer.outbox, &replay.sub, since, frames);
        roster.advance(&replay.client, &replay.sub, progress.safe());
        replay.progress = progress;
        Some(level)
    }

    /// The past cannot be had: the subscription goes on from the present, and its client is told to fetch again.
    fn reset(&self, roster: &mut Roster, client: &ClientId, sub: &CompactString) {
        let Some(found) = roster.client(client) else {
            return;
        };
        let outbox = Arc::clone(&found.outbox);
        stats::add(&self.stats.resets, 1);
        let topic = found.subs.iter().find(|known| known.id == *sub);
        match (found.transport, found.past) {
            (Transport::WebSocket, _) => outbox.push(frame::ws_reset(sub, &self.cursor())),
            (Transport::Sse, Past::Told) => {
                if let Some(topic) = topic.and_then(|sub| sub.topic.as_deref()) {
                    outbox.push(frame::sse_reset(&topic.text, &self.cursor()));
                }
            }
            // It never asked for the past: as if there had been no predecessor.
            (Transport::Sse, Past::CaughtUp) => {}
            // The official SDK knows no such message; it connects again, and its user may fetch again.
            (Transport::Sse, Past::Unknown | Past::Since(_) | Past::Settled | Past::Lost) => {
                roster.set_past(client, Past::Lost);
                return outbox.end(Ended::Expired);
            }
        }
        roster.go_live(&self.store.catalog(), client, sub, self.seen());
    }
}

fn hearer(roster: &Roster, replay: &Replay) -> Option<Hearer> {
    let client = roster.client(&replay.client)?;
    let sub = client.subs.iter().find(|sub| sub.id == replay.sub)?;
    if sub.replay?.cohort != replay.cohort {
        return None;
    }
    Some(Hearer {
        transport: client.transport,
        actor: client.actor.clone(),
        generation: client.generation,
        outbox: Arc::clone(&client.outbox),
        topic: sub.topic.clone()?,
        alone: client.subs.len() == 1,
    })
}

/// Whether what was judged for `then` may not be told any more.
fn is_stale(roster: &Roster, then: &Hearer, replay: &Replay) -> bool {
    hearer(roster, replay).is_none_or(|now| now.generation != then.generation)
}

fn queue(outbox: &Outbox, sub: &CompactString, since: Position, frames: Vec<Bytes>) {
    for frame in frames {
        let place = Place {
            sub: sub.clone(),
            since,
        };
        outbox.push_event(frame, place);
    }
    outbox.wake();
}
