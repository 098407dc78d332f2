//! The sender: takes the batches that are due, appends them, makes them durable, settles them.
//!
//! One thread at a time is at work, whoever holds `worker`: the sender's own thread, or one that
//! waits for a delivery and finds nobody at work. So the batches of a partition go out in order.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};
use std::time::Duration;

use crate::client::accumulator::{Accumulator, Due, OpenBatch, Slot};
use crate::client::delivery::{Delivered, Pledge, Settled};
use crate::client::producer_metrics::ProducerMetrics;
use crate::client::topics::Topics;
use crate::config::producer::ProducerConfig;
use crate::engine::{Appended, Engine};
use crate::env::{lock, wake};
use crate::error::{Error, Result};
use crate::types::Durability;

/// States of `Sender::alarm`.
const AWAKE: u32 = 0;
/// It sleeps until it is woken.
const ASLEEP: u32 = 1;
/// It looks again shortly, unasked: those who send also wait, and then do the work themselves.
const NAPPING: u32 = 2;

const NAP: Duration = Duration::from_millis(1);
/// After so many naps without anybody's help it sleeps.
const NAPS: u32 = 10;
/// So many helpers in a row make it nap.
const HELPERS: u32 = 2;

/// What a producer, its thread and its deliveries share.
pub(super) struct Sender {
    pub(super) engine: Arc<Engine>,
    pub(super) config: ProducerConfig,
    pub(super) accumulator: Accumulator,
    pub(super) topics: RwLock<Topics>,
    pub(super) metrics: ProducerMetrics,
    /// Held by whoever is at work.
    worker: Mutex<Worker>,
    alarm: AtomicU32,
    /// How many wait in `flush`.
    flushing: AtomicU32,
    closing: AtomicBool,
    /// Rounds done by others than the thread since the thread last had work.
    helped: AtomicU32,
    /// 1 when the thread ended; a word to sleep on.
    ended: AtomicU32,
    fork_generation: u32,
    around: Option<Around>,
}

/// Calls what it is given, once; for what must be set up around callbacks.
pub type Around = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What a round works with; kept for its capacity.
#[derive(Default)]
struct Worker {
    slots: Vec<Arc<Slot>>,
    batches: Vec<OpenBatch>,
    written: Vec<Written>,
    settled: Vec<Settled>,
}

/// A batch that was appended, or failed.
#[derive(Debug)]
struct Written {
    slot: Arc<Slot>,
    pledge: Pledge,
    reserved: usize,
    records: i32,
    outcome: std::result::Result<Appended, Arc<Error>>,
}

/// What a round came to.
#[derive(Clone, Copy, Debug)]
struct Round {
    worked: bool,
    /// Whether something that may be due was left to the thread.
    left: bool,
    /// When the first lingering batch is due.
    next: Option<Duration>,
}

impl Sender {
    pub(super) fn new(engine: Arc<Engine>, config: ProducerConfig, around: Option<Around>) -> Self {
        Self {
            accumulator: Accumulator::new(config.buffer_memory),
            topics: RwLock::default(),
            metrics: ProducerMetrics::default(),
            engine,
            config,
            worker: Mutex::default(),
            alarm: AtomicU32::new(AWAKE),
            flushing: AtomicU32::new(0),
            closing: AtomicBool::new(false),
            helped: AtomicU32::new(0),
            ended: AtomicU32::new(0),
            fork_generation: lock::fork_generation(),
            around,
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.engine.env().clock.monotonic()
    }

    /// A forked child has the producer, but neither its thread nor the right to its locks.
    pub(super) fn is_forked(&self) -> bool {
        self.fork_generation != lock::fork_generation()
    }

    /// Wakes the thread if it sleeps until somebody does; not from a nap.
    pub(super) fn nudge(&self) {
        if self.alarm.load(Ordering::SeqCst) == ASLEEP {
            self.wake();
        }
    }

    pub(super) fn wake(&self) {
        if self.alarm.swap(AWAKE, Ordering::SeqCst) != AWAKE {
            wake::wake_all(&self.alarm);
        }
    }

    /// Everything that is queued is due at once.
    fn is_pressed(&self) -> bool {
        self.flushing.load(Ordering::SeqCst) > 0
            || self.closing.load(Ordering::SeqCst)
            || self.accumulator.memory.is_short()
    }

    /// Does a round in the calling thread, unless somebody is at work already or nothing is due.
    pub(super) fn help(&self) {
        let linger = !self.config.linger.is_zero();
        if linger && !self.is_pressed() {
            return;
        }
        let round = match self.worker.try_lock() {
            Ok(mut worker) => self.round(&mut worker, false),
            Err(TryLockError::Poisoned(poisoned)) => self.round(&mut poisoned.into_inner(), false),
            Err(TryLockError::WouldBlock) => return,
        };
        if round.worked {
            self.helped.fetch_add(1, Ordering::Relaxed);
        }
        // What came meanwhile may have counted on this thread.
        if round.left || (!linger && !self.accumulator.is_empty()) {
            self.wake();
        }
    }

    /// Waits until all that is in a batch now is settled.
    pub(super) fn flush(&self, timeout: Option<Duration>) -> Result<()> {
        if Working::on(self) {
            return Err(Error::IllegalState("flush in a delivery callback would wait for itself"));
        }
        let deadline = timeout.map(|timeout| self.now().saturating_add(timeout));
        let _pressure = Flushing::begin(self);
        for slot in self.slots() {
            let Some(state) = slot.unsettled() else { continue };
            let left = deadline.map(|deadline| deadline.saturating_sub(self.now()));
            state.wait(left).map_err(|error| flush_error(error, timeout))?;
        }
        Ok(())
    }

    fn slots(&self) -> Vec<Arc<Slot>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).slots().cloned().collect()
    }

    /// Refuses further records and makes the thread end when all is sent. When this returns, no
    /// `send` is under way.
    pub(super) fn close(&self) {
        self.topics.write().unwrap_or_else(PoisonError::into_inner).close();
        self.closing.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Waits for the thread's end.
    pub(super) fn wait_for_end(&self, timeout: Option<Duration>) -> Result<()> {
        const FOREVER: Duration = Duration::from_secs(3_600);

        let deadline = timeout.map(|timeout| self.now().saturating_add(timeout));
        while self.ended.load(Ordering::Acquire) == 0 {
            let left = deadline.map_or(FOREVER, |deadline| deadline.saturating_sub(self.now()));
            if left.is_zero() {
                let after = timeout.unwrap_or_default();
                return Err(Error::Timeout { what: "closing the producer", after });
            }
            if wake::wait(&self.ended, 0, left) == wake::Woken::Interrupted {
                return Err(Error::Interrupted);
            }
        }
        Ok(())
    }

    /// The thread: works until the producer is closed and everything is sent.
    pub(super) fn run(&self) {
        let _end = End(self);
        let (mut naps, mut helped) = (0, 0);
        loop {
            self.alarm.store(AWAKE, Ordering::SeqCst);
            if self.turn().worked {
                self.helped.store(0, Ordering::Relaxed);
                continue;
            }
            let help = self.helped.load(Ordering::Relaxed);
            naps = if help == helped { naps + 1 } else { 0 };
            helped = help;
            let napping = help >= HELPERS && naps < NAPS;
            let state = if napping { NAPPING } else { ASLEEP };
            self.alarm.store(state, Ordering::SeqCst);
            // Looks again: whoever came before the store did not wake.
            let round = self.turn();
            if self.is_finished() {
                return;
            }
            if !round.worked && (self.accumulator.is_empty() || round.next.is_some()) {
                wake::wait(&self.alarm, state, self.rest(napping, round.next));
            }
        }
    }

    fn rest(&self, napping: bool, next: Option<Duration>) -> Duration {
        const LONG: Duration = Duration::from_secs(3_600);

        let rest = next.map_or(LONG, |next| next.saturating_sub(self.now()));
        if napping { rest.min(NAP) } else { rest }
    }

    fn is_finished(&self) -> bool {
        self.closing.load(Ordering::SeqCst) && self.accumulator.is_empty()
    }

    fn turn(&self) -> Round {
        self.round(&mut self.worker.lock().unwrap_or_else(PoisonError::into_inner), true)
    }

    /// Sends what is due: appends to all partitions first, then syncs them, then settles. Leaves
    /// partitions whose lock somebody else has, unless it is `patient`.
    fn round(&self, worker: &mut Worker, patient: bool) -> Round {
        let mut round = Round { worked: false, left: false, next: None };
        if self.accumulator.is_empty() {
            return round;
        }
        let _working = Working::begin(self);
        let due = Due { now: self.now(), linger: self.config.linger, all: self.is_pressed() };
        let Worker { slots, batches, written, settled } = worker;
        self.accumulator.take_queue(slots);
        for slot in slots.drain(..) {
            if !patient && is_stuck(&slot) {
                round.left = true;
                self.accumulator.put_back(&slot);
                continue;
            }
            if let Some(at) = slot.take_due(batches, &due) {
                round.next = Some(round.next.map_or(at, |next| next.min(at)));
                self.accumulator.put_back(&slot);
            }
            for batch in batches.drain(..) {
                round.worked = true;
                written.push(self.write(&slot, batch, due.now));
                if self.config.acks != Durability::Durable {
                    self.settle(written, settled);
                }
            }
        }
        self.settle(written, settled);
        self.run_callbacks(settled);
        round
    }

    /// Appends one batch.
    fn write(&self, slot: &Arc<Slot>, batch: OpenBatch, now: Duration) -> Written {
        let OpenBatch { builder, pledge, opened, reserved, max_size } = batch;
        let (records, uncompressed) = (builder.count(), builder.len());
        let outcome = self
            .check_age(now.saturating_sub(opened))
            .and_then(|()| finish(builder, max_size))
            .and_then(|mut bytes| {
                let appended = uninterrupted(|| slot.partition.append(&mut bytes))?;
                self.metrics.sent(records, uncompressed, bytes.len());
                self.accumulator.memory.recycle(bytes);
                Ok(appended)
            })
            .map_err(Arc::new);
        Written { slot: Arc::clone(slot), pledge, reserved, records, outcome }
    }

    fn check_age(&self, age: Duration) -> Result<()> {
        let after = self.config.delivery_timeout;
        if age > after {
            return Err(Error::Timeout { what: "the delivery of the record", after });
        }
        Ok(())
    }

    /// Syncs each partition once, if that is wanted, and settles its batches in order.
    fn settle(&self, written: &mut Vec<Written>, settled: &mut Vec<Settled>) {
        for batches in written.chunk_by_mut(|a, b| Arc::ptr_eq(&a.slot, &b.slot)) {
            if self.config.acks == Durability::Durable {
                sync(batches);
            }
            for batch in batches.iter() {
                let one = self.settle_one(batch);
                // Nobody hears of a batch before the callbacks of those ahead of it.
                if one.has_callbacks() || !settled.is_empty() {
                    settled.push(one);
                }
            }
        }
        written.clear();
    }

    fn settle_one(&self, batch: &Written) -> Settled {
        self.accumulator.memory.give_back(batch.reserved);
        let outcome = match &batch.outcome {
            Ok(appended) => Ok(Delivered {
                base_offset: appended.base_offset,
                log_append_time: appended.timestamp,
            }),
            Err(error) => {
                self.metrics.failed(batch.records);
                if self.config.acks == Durability::Accepted {
                    // Nobody else will hear of it.
                    log::error!("{} records were lost: {error}", batch.records);
                }
                Err(Arc::clone(error))
            }
        };
        batch.pledge.0.decide(outcome)
    }

    /// Runs the callbacks of a whole round in one go, inside `around` if there is one.
    fn run_callbacks(&self, settled: &mut Vec<Settled>) {
        if settled.is_empty() {
            return;
        }
        let mut run = || settled.iter_mut().for_each(Settled::run);
        match &self.around {
            Some(around) => around(&mut run),
            None => run(),
        }
        settled.clear();
    }
}

/// Whether appending might take long, because another has the partition's lock, perhaps a process
/// that was stopped: the thread may wait for that, a user's call must end in time.
fn is_stuck(slot: &Slot) -> bool {
    const TRIES: usize = 20;

    (0..TRIES).all(|_| {
        let busy = slot.partition.is_busy();
        if busy {
            std::thread::yield_now();
        }
        busy
    })
}

/// Makes batches of one partition durable; all of them fail if that fails.
fn sync(batches: &mut [Written]) {
    let Some(end) = batches.iter().filter_map(|b| b.outcome.as_ref().ok()?.end_offset.into()).max()
    else {
        return;
    };
    let Some(first) = batches.first() else { return };
    if let Err(error) = uninterrupted(|| first.slot.partition.sync(end)) {
        let error = Arc::new(error);
        let appended = batches.iter_mut().filter(|batch| batch.outcome.is_ok());
        appended.for_each(|batch| batch.outcome = Err(Arc::clone(&error)));
    }
}

/// Compresses and checksums a batch; refuses one that is too long even so.
fn finish(builder: crate::record::BatchBuilder, max: usize) -> Result<Vec<u8>> {
    let bytes = builder
        .finish()
        .map_err(|what| Error::InvalidArgument(format!("the records cannot be encoded: {what}")))?;
    match bytes.len() {
        size if size > max => {
            Err(Error::RecordTooLarge { size, max, setting: "max.message.bytes" })
        }
        _ => Ok(bytes),
    }
}

/// Signals are for those who wait in a user's call.
fn uninterrupted<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Error::Interrupted) => {}
            result => return result,
        }
    }
}

/// Names the whole time asked for.
fn flush_error(error: Error, timeout: Option<Duration>) -> Error {
    match error {
        Error::Timeout { .. } => {
            Error::Timeout { what: "the flush", after: timeout.unwrap_or_default() }
        }
        error => error,
    }
}

/// Presses the sender while somebody flushes.
struct Flushing<'a>(&'a Sender);

impl<'a> Flushing<'a> {
    fn begin(sender: &'a Sender) -> Self {
        sender.flushing.fetch_add(1, Ordering::SeqCst);
        if !sender.config.linger.is_zero() {
            sender.wake();
        }
        Self(sender)
    }
}

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.0.flushing.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Tells that the thread ended, however it did.
struct End<'a>(&'a Sender);

impl Drop for End<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Nothing may be taken that nobody would send.
            self.0.close();
        }
        self.0.ended.store(1, Ordering::Release);
        wake::wake_all(&self.0.ended);
    }
}

thread_local! {
    /// The sender this thread is at work for, as an address.
    static WORKING: Cell<usize> = const { Cell::new(0) };
}

/// Marks the thread as being at work, so that a callback does not wait for itself.
pub(super) struct Working {
    before: usize,
}

impl Working {
    fn begin(sender: &Sender) -> Self {
        Self { before: WORKING.replace(std::ptr::from_ref(sender).addr()) }
    }

    /// Whether this thread runs a callback of `sender`.
    pub(super) fn on(sender: &Sender) -> bool {
        WORKING.get() == std::ptr::from_ref(sender).addr()
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        WORKING.set(self.before);
    }
}

/// Starts the thread, which keeps `sender` alive until everything is sent.
pub(super) fn start(sender: &Arc<Sender>) -> Result<std::thread::JoinHandle<()>> {
    let mine = Arc::clone(sender);
    std::thread::Builder::new().name("brokerless-sender".into()).spawn(move || mine.run()).map_err(
        |source| Error::Io {
            op: "start a thread for",
            path: sender.engine.dir().to_owned(),
            source,
        },
    )
}
