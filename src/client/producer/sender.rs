//! The sender: takes the batches that are due, appends them, makes them durable, settles them.
//!
//! One thread at a time is at work, whoever holds `worker`: the sender's own thread, or one that
//! waits for a delivery and finds nobody at work. So the batches of a partition go out in order.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::time::Duration;

use crate::client::producer::accumulator::{Accumulator, Slot};
use crate::client::producer::delivery::BatchState;
use crate::client::producer::metrics::ProducerMetrics;
use crate::client::producer::round::{Round, Worker};
use crate::client::producer::stream::Stream;
use crate::client::producer::topics::Topics;
use crate::client::tender;
use crate::config::producer::ProducerConfig;
use crate::engine::Engine;
use crate::env::{Clock, lock, wake};
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
pub(crate) struct Sender {
    pub(super) clock: Arc<dyn Clock>,
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
    /// How long closing was to take, once what is left fails instead of being sent.
    abandoned: OnceLock<Duration>,
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
            clock: Arc::clone(&engine.env().clock),
            topics: RwLock::new(Topics::new(engine)),
            metrics: ProducerMetrics::default(),
            config,
            worker: Mutex::default(),
            alarm: AtomicU32::new(AWAKE),
            next_chore: AtomicI64::new(i64::MAX),
            flushing: AtomicU32::new(0),
            closing: AtomicBool::new(false),
            abandoned: OnceLock::new(),
            helped: AtomicU32::new(0),
            ended: AtomicU32::new(0),
            fork_generation: lock::fork_generation(),
            around,
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// A forked child has the producer, but neither its thread nor the right to its locks.
    pub(crate) fn is_forked(&self) -> bool {
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
        let chore = self.topics().next_chore();
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

    pub(super) fn topics(&self) -> RwLockReadGuard<'_, Topics> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn slots(&self) -> Vec<Arc<Slot>> {
        self.topics().slots().cloned().collect()
    }

    /// Refuses further records and makes the thread end when all is sent. When this returns, no
    /// `send` is under way.
    pub(super) fn close(&self) {
        self.topics.write().unwrap_or_else(PoisonError::into_inner).close();
        self.closing.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Makes what is not in a log yet fail, as closing took longer than `after`.
    pub(super) fn abandon(&self, after: Duration) {
        self.close();
        // Nobody sends any more: a second call has nothing else to say.
        let _ = self.abandoned.set(after);
        self.wake();
    }

    /// Whether, and after how long, the rest was abandoned.
    pub(super) fn abandoned(&self) -> Option<Duration> {
        self.abandoned.get().copied()
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

    /// The thread: works until the producer is closed and everything is sent. Then nobody needs
    /// the engine any more.
    fn run(&self, engine: Arc<Engine>) {
        let end = End { sender: self, engine: Some(engine) };
        let Some(engine) = &end.engine else { return };
        let (mut naps, mut helped) = (0, 0);
        let mut stream = Stream::default();
        loop {
            self.alarm.store(AWAKE, Ordering::SeqCst);
            if self.is_helped_now() {
                self.nap_while_helped(engine);
                continue;
            }
            if self.turn(engine).worked {
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
            let round = self.turn(engine);
            if self.is_finished() {
                leave_nothing_to_flush(engine);
                return;
            }
            if !round.worked && (self.accumulator.is_empty() || round.next.is_some()) {
                let began = self.now();
                wake::wait(&self.alarm, state, self.rest(engine, napping, round.next));
                stream.slept(self.now().saturating_sub(began));
            }
        }
    }

    /// Who helps wakes the thread for what he leaves.
    fn nap_while_helped(&self, engine: &Engine) {
        self.do_chores(engine);
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

    fn rest(&self, engine: &Engine, napping: bool, next: Option<Duration>) -> Duration {
        const LONG: Duration = Duration::from_secs(3_600);

        let rest = next.map_or(LONG, |next| next.saturating_sub(self.now()));
        let rest = self.until_chore(engine).map_or(rest, |chore| rest.min(chore));
        if napping { rest.min(NAP) } else { rest }
    }

    /// Not while somebody is at work, who may leave something.
    fn is_finished(&self) -> bool {
        if !self.closing.load(Ordering::SeqCst) {
            return false;
        }
        let _idle = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        self.accumulator.is_empty()
    }

    /// Whether another thread is at work: to wait for it would cost both a switch.
    fn is_helped_now(&self) -> bool {
        matches!(self.worker.try_lock(), Err(TryLockError::WouldBlock))
    }

    fn turn(&self, engine: &Engine) -> Round {
        let round =
            self.round(&mut self.worker.lock().unwrap_or_else(PoisonError::into_inner), true);
        self.do_chores(engine);
        round
    }

    fn do_chores(&self, engine: &Engine) {
        if let Err(error) = engine.do_chores(self.clock.now()) {
            log::warn!("{}: {error}", engine.dir().display());
        }
    }

    /// Until something falls due by time alone.
    fn until_chore(&self, engine: &Engine) -> Option<Duration> {
        let due = engine.next_chore();
        self.next_chore.store(due.unwrap_or(i64::MAX), Ordering::SeqCst);
        let left = due?.saturating_sub(self.clock.now()).max(1);
        Some(Duration::from_millis(u64::try_from(left).unwrap_or(1)))
    }
}

/// Nobody may be there when `flush.ms` is over.
fn leave_nothing_to_flush(engine: &Engine) {
    if let Err(error) = engine.flush_early() {
        log::warn!("{}: {error}", engine.dir().display());
    }
}

/// Lets go of the directory and tells that the thread ended, however it did.
struct End<'a> {
    sender: &'a Sender,
    engine: Option<Arc<Engine>>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        let Self { sender, engine } = self;
        if std::thread::panicking() {
            // Nothing may be taken that nobody would send.
            sender.close();
        }
        let gone = sender.topics.write().unwrap_or_else(PoisonError::into_inner).let_go();
        drop(gone);
        if let Some(engine) = engine.take() {
            tender::let_go(engine);
        }
        sender.ended.store(1, Ordering::Release);
        wake::wake_all(&sender.ended);
    }
}

/// Starts the thread, which keeps `sender` alive until everything is sent.
pub(super) fn start(
    sender: &Arc<Sender>,
    engine: Arc<Engine>,
) -> Result<std::thread::JoinHandle<()>> {
    let (mine, dir) = (Arc::clone(sender), engine.dir().to_owned());
    let thread = std::thread::Builder::new().name("brokerless-sender".into());
    let started = thread.spawn(move || mine.run(engine));
    started.map_err(|source| Error::Io { op: "start a thread for", path: dir, source })
}
