//! The thread that ships. It takes what the tap gave, puts it to the place within a moment, and sees to bases and to what is
//! too old. When it cannot, it says so and goes on trying; nobody waits for it.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::generation::{Generation, MAGIC};
use super::place::{Place, Scratch, blocking};
use crate::bucket::Source;
use crate::kit::clock::Clock;
use crate::kit::limits::{SHIP_BEHIND_BYTES_MAX, SHIP_PART_BYTES};
use crate::kit::time::Timestamp;
use crate::store::{Baseline, Store, StoreError, Tap};

/// Between two looks at the tap: what is lost with the machine is less than a second of writes.
const PACE: Duration = Duration::from_millis(200);
/// A part of the log is put again with each look while it is young, and closed when it is older or large.
const PART_AGE: Duration = Duration::from_secs(60);
/// Between two bases: a recovery reads what came in this time at most.
const BASE_AGE: Duration = Duration::from_secs(24 * 3_600);
/// After a base that failed.
const BASE_PAUSE: Duration = Duration::from_secs(10);
/// Between two looks for what is too old.
const OLD_LOOK: Duration = Duration::from_secs(3_600);
/// After a place that did not take something.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);
/// Time for a base that is being made, and then for the last writes, when the server ends.
const END: Duration = Duration::from_secs(10);

/// How to ship.
#[derive(Clone, Debug)]
pub struct Shipping {
    /// Where to.
    pub place: Place,
    /// How far back one may go.
    pub keep: Duration,
    /// A folder for work, emptied by the next start.
    pub scratch: PathBuf,
    /// Source of time.
    pub clock: Clock,
}

/// The thread, as long as it is not told to end.
#[derive(Debug)]
pub struct Shipper {
    orders: mpsc::UnboundedSender<Order>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread is told.
#[derive(Debug)]
enum Order {
    /// Hold the database no longer, and answer then.
    Settle(std::sync::mpsc::Sender<()>),
    /// Put what is left, and end.
    End,
}

/// How it goes, for whoever asks. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<State>>);

/// How it goes.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Until when everything is in the place.
    pub shipped: Option<Timestamp>,
    /// Why not everything is.
    pub trouble: Option<String>,
}

impl Progress {
    /// How it goes now.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.lock().clone()
    }
}

impl Shipper {
    /// Begins to ship what is written to `store`, which was opened with a tap.
    ///
    /// # Errors
    /// When the store has no tap, or the system no thread.
    pub fn start(store: &Store, shipping: Shipping, progress: &Progress) -> io::Result<Self> {
        let no_tap = || io::Error::other("only a database in the directory can be shipped");
        let tap = store.tap().ok_or_else(no_tap)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (orders, ordered) = mpsc::unbounded_channel();
        let work = Work {
            store: store.clone(),
            tap,
            shipping,
            progress: progress.clone(),
            streams: Vec::new(),
            base: None,
            settled: false,
            base_trouble: None,
            next_try: Instant::now(),
            next_base: Instant::now(),
            next_look: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("ship".to_owned())
            .spawn(move || runtime.block_on(work.run(ordered)))?;
        Ok(Self {
            orders,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Lets go of the database, so that it can be closed. Blocks while a base is being made, for a while.
    pub fn settle(&self) {
        let (done, settled) = std::sync::mpsc::channel();
        if self.orders.send(Order::Settle(done)).is_ok() {
            // An error means that the thread has ended, and holds nothing.
            let _ended = settled.recv();
        }
    }

    /// Puts what is left, and ends. For when the store is closed.
    pub fn close(&self) {
        // An error means that the thread has ended already.
        drop(self.orders.send(Order::End));
        if let Some(thread) = self.thread.lock().take() {
            drop(thread.join());
        }
    }
}

struct Work {
    store: Store,
    tap: Arc<Tap>,
    shipping: Shipping,
    progress: Progress,
    /// The generation that counts, and the one that is to take its place when its base is there.
    streams: Vec<Stream>,
    /// The base that is being made, for the last of them.
    base: Option<tokio::task::JoinHandle<io::Result<()>>>,
    /// Whether no base is begun any more.
    settled: bool,
    /// Why the last base was not made.
    base_trouble: Option<String>,
    next_try: Instant,
    next_base: Instant,
    next_look: Instant,
}

/// What follows one base.
struct Stream {
    generation: Generation,
    /// Whether its base is in the place.
    based: bool,
    /// Number of the first part that is kept here.
    nth: u64,
    /// When it was begun.
    begun: Instant,
    /// Parts that are not closed, or not in the place.
    parts: VecDeque<Vec<u8>>,
    /// How much of the first is in the place.
    put: usize,
}

impl Stream {
    fn new(generation: Generation) -> Self {
        Self {
            generation,
            based: false,
            nth: 0,
            begun: Instant::now(),
            parts: VecDeque::new(),
            put: 0,
        }
    }

    /// Takes writes, whole ones.
    fn take(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.parts.is_empty() {
            self.begun = Instant::now();
        }
        match self.parts.back_mut() {
            Some(last) if last.len() < SHIP_PART_BYTES => last.extend_from_slice(bytes),
            _ => self.parts.push_back(bytes.to_vec()),
        }
    }

    /// Puts what is not in the place, and closes parts that are full or old.
    async fn send(&mut self, place: &Place) -> io::Result<()> {
        while let Some(first) = self.parts.front() {
            if self.put < first.len() {
                let mut packed = GzEncoder::new(MAGIC.to_vec(), Compression::fast());
                packed.write_all(first)?;
                let content = Source::Bytes(packed.finish()?.into());
                let name = self.generation.segment(self.nth);
                place.put(&name, &content).await?;
                self.put = first.len();
            }
            let is_full = first.len() >= SHIP_PART_BYTES || self.begun.elapsed() >= PART_AGE;
            if self.parts.len() == 1 && !is_full {
                break;
            }
            self.parts.pop_front();
            self.nth += 1;
            self.put = 0;
            self.begun = Instant::now();
        }
        Ok(())
    }

    fn waiting(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }
}

impl Work {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            match tokio::time::timeout(PACE, orders.recv()).await {
                Err(_) => {
                    self.tick().await;
                    self.see_to_base().await;
                    self.forget_old().await;
                }
                Ok(Some(Order::Settle(done))) => {
                    self.settled = true;
                    if let Some(base) = &mut self.base
                        && tokio::time::timeout(END, async {
                            while !base.is_finished() {
                                tokio::time::sleep(PACE / 20).await
                            }
                        })
                        .await
                        .is_err()
                    {
                        base.abort();
                    }
                    // Nobody waits any more where that fails.
                    let _gone = done.send(());
                }
                Ok(Some(Order::End) | None) => {
                    // The store is closed: nothing more will come.
                    self.see_to_base().await;
                    self.next_try = Instant::now();
                    let rest = tokio::time::timeout(END, self.tick()).await;
                    if rest.is_err() {
                        tracing::warn!("the last writes were not shipped in time");
                    }
                    return;
                }
            }
        }
    }

    /// Puts what came since the last look.
    async fn tick(&mut self) {
        let now = self.shipping.clock.now();
        let tapped = self.tap.take();
        for stream in &mut self.streams {
            stream.take(&tapped.bytes);
        }
        if Instant::now() >= self.next_try {
            match self.send().await {
                // Before there is a base nothing can be made of what follows it.
                Ok(()) if self.streams.first().is_some_and(|first| first.based) => {
                    self.told(Some(now), self.base_trouble.clone());
                }
                Ok(()) => {}
                Err(error) => {
                    self.next_try = Instant::now() + TROUBLE_PAUSE;
                    self.told(None, Some(error.to_string()));
                }
            }
        }
        let mut waiting = self.streams.iter().map(Stream::waiting);
        let is_behind = waiting.any(|bytes| bytes > SHIP_BEHIND_BYTES_MAX);
        if tapped.lost || is_behind {
            tracing::warn!("writes were not shipped one by one: a new copy begins");
            self.drop_all();
        }
    }

    async fn send(&mut self) -> io::Result<()> {
        for stream in &mut self.streams {
            stream.send(&self.shipping.place).await?;
        }
        Ok(())
    }

    fn drop_all(&mut self) {
        self.streams.clear();
        if let Some(base) = self.base.take() {
            base.abort();
        }
        self.next_base = Instant::now();
    }

    fn told(&self, shipped: Option<Timestamp>, trouble: Option<String>) {
        let mut state = self.progress.0.lock();
        if state.trouble != trouble {
            match &trouble {
                Some(error) => tracing::error!(%error, "writes are not being shipped"),
                None => tracing::info!("writes are being shipped again"),
            }
        }
        state.trouble = trouble;
        if shipped.is_some() {
            state.shipped = shipped;
        }
    }

    /// Begins a base when one is due, and lets the last generation count when its base is there.
    async fn see_to_base(&mut self) {
        if self.base.as_ref().is_some_and(|base| base.is_finished())
            && let Some(base) = self.base.take()
        {
            let done = base.await.map_err(io::Error::other).and_then(|done| done);
            match done {
                Ok(()) => {
                    let last = self.streams.len().saturating_sub(1);
                    self.streams.drain(..last);
                    if let Some(stream) = self.streams.first_mut() {
                        stream.based = true;
                    }
                    self.base_trouble = None;
                    self.next_base = Instant::now() + BASE_AGE;
                }
                Err(error) => {
                    self.streams.pop();
                    self.next_base = Instant::now() + BASE_PAUSE;
                    self.no_base(&error);
                }
            }
        }
        if self.base.is_none() && !self.settled && Instant::now() >= self.next_base {
            self.next_base = Instant::now() + BASE_PAUSE;
            if let Err(error) = self.begin_base().await {
                self.no_base(&error);
            }
        }
    }

    fn no_base(&mut self, error: &dyn std::fmt::Display) {
        self.base_trouble = Some(format!("no copy could be made: {error}"));
        self.told(None, self.base_trouble.clone());
    }

    async fn begin_base(&mut self) -> Result<(), StoreError> {
        let baseline = self.store.baseline().await?;
        let Baseline { at, before, .. } = &baseline;
        for stream in &mut self.streams {
            stream.take(&before.bytes);
        }
        if before.lost {
            self.streams.clear();
        }
        let generation = Generation::new(*at);
        let (place, name) = (self.shipping.place.clone(), generation.base());
        let scratch = self.shipping.scratch.clone();
        self.streams.push(Stream::new(generation));
        self.base = Some(tokio::spawn(put_base(baseline, place, name, scratch)));
        Ok(())
    }

    /// Removes generations that nobody can want any more: the one after them begins before the time that is kept.
    async fn forget_old(&mut self) {
        if Instant::now() < self.next_look {
            return;
        }
        self.next_look = Instant::now() + OLD_LOOK;
        let keep = i64::try_from(self.shipping.keep.as_millis()).unwrap_or(i64::MAX);
        let since = self.shipping.clock.now().plus_millis(-keep);
        let place = &self.shipping.place;
        let forgotten = async {
            let found = Generation::found(place).await?;
            let begins = found.iter().filter(|(_, is_whole)| *is_whole);
            // The last one that begins before the time that is kept is where one may go back to.
            let needed = begins
                .map(|(one, _)| one.begun)
                .rfind(|begun| *begun <= since);
            let is_old = |one: &Generation| needed.is_some_and(|needed| one.begun < needed);
            for (old, is_whole) in found.iter().filter(|(one, _)| is_old(one)) {
                if *is_whole {
                    // First: without it nobody takes what is left after a crash for whole.
                    place.remove(&old.base()).await?;
                }
                place.remove(old.folder()).await?;
            }
            io::Result::Ok(())
        };
        if let Err(error) = forgotten.await {
            tracing::warn!(%error, "what was shipped long ago is still there");
        }
    }
}

async fn put_base(
    baseline: Baseline,
    place: Place,
    name: String,
    scratch: PathBuf,
) -> io::Result<()> {
    // Gone with this task, also when it is aborted: what still writes there finds no folder.
    let work = Scratch::inside(&scratch)?;
    let folder = work.0.clone();
    let packed = blocking(move || {
        let (plain, packed) = (folder.join("base.db"), folder.join("base.db.gz"));
        baseline.copy_to(&plain).map_err(io::Error::other)?;
        let mut out = GzEncoder::new(File::create_new(&packed)?, Compression::fast());
        io::copy(&mut BufReader::new(File::open(&plain)?), &mut out)?;
        out.finish()?;
        fs::remove_file(plain)?;
        Ok(packed)
    })
    .await?;
    place.put(&name, &Source::file(packed)?).await
}
