//! The sender: takes the batches that are due, appends them, makes them durable, settles them.
//!
//! One thread at a time is at work, whoever holds `worker`: the sender's own thread, or one that
//! waits for a delivery and finds nobody at work. So the batches of a partition go out in order.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};
use std::time::Duration;

use crate::client::accumulator::{Accumulator, Slot};
use crate::client::delivery::BatchState;
use crate::client::producer_metrics::ProducerMetrics;
use crate::client::round::{Round, Worker};
use crate::client::stream::Stream;
use crate::client::topics::Topics;
use crate::config::producer::ProducerConfig;
use crate::engine::Engine;
use crate::env::{lock, wake};
use crate::error::{Error, Result};

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
    /// When the thread, if it sleeps, wakes for what falls due by time alone; on the wall clock.
    next_chore: AtomicI64,
    /// How many wait in `flush`.
    flushing: AtomicU32,
    closing: AtomicBool,
    /// Rounds done by others than the thread since the thread last had work.
    helped: AtomicU32,
    /// 1 when the thread ended; a word to sleep on.
    ended: AtomicU32,
    fork_generation: u32,
    pub(super) around: Option<Around>,
}

/// Calls what it is given, once; for what must be set up around callbacks.
pub type Around = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("config", &self.config).finish_non_exhaustive()
    }
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
            next_chore: AtomicI64::new(i64::MAX),
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
    pub(super) fn is_pressed(&self) -> bool {
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
        let chore = self.engine.next_chore();
        if chore.is_some_and(|due| due < self.next_chore.load(Ordering::SeqCst)) {
            self.wake();
        }
        // What came meanwhile may have counted on this thread.
        if round.left || (!linger && !self.accumulator.is_empty()) {
            self.wake();
        }
    }

    /// Somebody waits for what is in a batch now: it is due at once.
    pub(super) fn press(&self) {
        self.flushing.fetch_add(1, Ordering::SeqCst);
        if !self.config.linger.is_zero() {
            self.wake();
        }
    }

    /// The end of [`press`](Self::press).
    pub(super) fn release(&self) {
        self.flushing.fetch_sub(1, Ordering::SeqCst);
    }

    /// The newest batch of each partition that has not delivered all.
    pub(super) fn unsettled(&self) -> Vec<Arc<BatchState>> {
        self.slots().iter().filter_map(|slot| slot.unsettled()).collect()
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
        let mut stream = Stream::default();
        loop {
            self.alarm.store(AWAKE, Ordering::SeqCst);
            if self.is_helped_now() {
                self.nap_while_helped();
                continue;
            }
            if self.turn().worked {
                self.helped.store(0, Ordering::Relaxed);
                stream.worked();
                if let Some(nap) = stream.nap() {
                    self.gather(nap);
                }
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
                self.leave_nothing_to_flush();
                return;
            }
            if !round.worked && (self.accumulator.is_empty() || round.next.is_some()) {
                let began = self.now();
                wake::wait(&self.alarm, state, self.rest(napping, round.next));
                stream.slept(self.now().saturating_sub(began));
            }
        }
    }

    /// Who helps wakes the thread for what he leaves.
    fn nap_while_helped(&self) {
        self.do_chores();
        self.alarm.store(NAPPING, Ordering::SeqCst);
        if self.is_helped_now() {
            wake::wait(&self.alarm, NAPPING, NAP);
        }
    }

    /// Lets a stream's records gather, unless there is a batch of them or somebody waits for them.
    fn gather(&self, nap: Duration) {
        self.alarm.store(NAPPING, Ordering::SeqCst);
        let enough = self.accumulator.memory.used() >= self.config.batch_size;
        if !enough && !self.is_pressed() {
            wake::wait(&self.alarm, NAPPING, nap);
        }
    }

    fn rest(&self, napping: bool, next: Option<Duration>) -> Duration {
        const LONG: Duration = Duration::from_secs(3_600);

        let rest = next.map_or(LONG, |next| next.saturating_sub(self.now()));
        let rest = self.until_chore().map_or(rest, |chore| rest.min(chore));
        if napping { rest.min(NAP) } else { rest }
    }

    /// Nobody may be there when `flush.ms` is over.
    fn leave_nothing_to_flush(&self) {
        if let Err(error) = self.engine.flush_early() {
            log::warn!("{}: {error}", self.engine.dir().display());
        }
    }

    fn is_finished(&self) -> bool {
        self.closing.load(Ordering::SeqCst) && self.accumulator.is_empty()
    }

    /// Whether another thread is at work: to wait for it would cost both a switch.
    fn is_helped_now(&self) -> bool {
        matches!(self.worker.try_lock(), Err(TryLockError::WouldBlock))
    }

    fn turn(&self) -> Round {
        let round =
            self.round(&mut self.worker.lock().unwrap_or_else(PoisonError::into_inner), true);
        self.do_chores();
        round
    }

    fn do_chores(&self) {
        if let Err(error) = self.engine.do_chores(self.engine.env().clock.now()) {
            log::warn!("{}: {error}", self.engine.dir().display());
        }
    }

    /// Until something falls due by time alone.
    fn until_chore(&self) -> Option<Duration> {
        let due = self.engine.next_chore();
        self.next_chore.store(due.unwrap_or(i64::MAX), Ordering::SeqCst);
        let left = due?.saturating_sub(self.engine.env().clock.now()).max(1);
        Some(Duration::from_millis(u64::try_from(left).unwrap_or(1)))
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
