//! The open batches of a producer, one per partition, and the queue of those with work in them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::Duration;

use crate::client::producer::Outgoing;
use crate::client::producer::delivery::{BatchState, Delivery, Pledge};
use crate::client::producer::memory::Memory;
use crate::client::producer::sender::Sender;
use crate::config::TopicConfig;
use crate::config::producer::ProducerConfig;
use crate::config::topic::{BatchLimits, TimestampWindow};
use crate::engine::Partition;
use crate::error::{Error, Result};
use crate::record::BatchBuilder;
use crate::types::{Compression, Durability, Timestamp, TopicPartition};

/// What a batch may grow to when `batch.size` was left at its default and the sender is busy.
const GROWN_BATCH: usize = 256 << 10;

/// A batch's header.
const HEADER: usize = 61;

/// By how much the bound of a record's size may lie above its true size.
const SLACK: usize = 29;

/// What the settings of producer and topic allow a partition's batches to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A batch of so many bytes need not linger.
    pub(super) ready: usize,
    /// It takes no further record beyond so many, before compression.
    pub(super) full: usize,
    /// The largest record.
    pub(super) record: usize,
    pub(super) compression: Compression,
    pub(super) level: Option<i32>,
    /// What the topic says of a batch, after compression.
    batch: BatchLimits,
    /// A compacted topic takes no record without a key.
    pub(super) needs_key: bool,
    window: Option<TimestampWindow>,
}

impl Limits {
    pub(super) fn new(config: &ProducerConfig, topic: &TopicConfig) -> Self {
        let batch = topic.batch_limits();
        let message = batch.least();
        let compression = topic.compression_type.unwrap_or(config.compression);
        // As a broker does, which leaves a batch as it is that comes with the topic's codec.
        let is_own = compression == config.compression;
        let grown = match config.batch_size {
            ProducerConfig::DEFAULT_BATCH_SIZE => GROWN_BATCH,
            set => set,
        };
        // A codec may make a batch of several records longer, which must not make it too long.
        let packed = match compression {
            Compression::None => message,
            _ => message - message / 6,
        };
        Self {
            ready: config.batch_size,
            full: grown.min(packed).min(config.max_request_size),
            record: config.max_request_size,
            compression,
            level: if is_own {
                config.compression_level
            } else {
                topic.compression_level(compression)
            },
            batch,
            needs_key: topic.compacted,
            window: topic.timestamp_window(),
        }
    }

    /// Refuses a record that no batch could hold, or that the topic refuses at `wall`, the time of
    /// the clock: with it a whole batch would be. `size` is the bound of a batch of it alone.
    fn check(
        &self,
        id: &TopicPartition,
        record: &Outgoing<'_>,
        size: usize,
        wall: Timestamp,
    ) -> Result<()> {
        if size > self.record {
            let (max, setting) = (self.record, "max_request_size");
            return Err(Error::RecordTooLarge { size, max, setting });
        }
        let least = size.saturating_sub(SLACK);
        if self.compression == Compression::None {
            self.batch.check(id, least)?;
        }
        if self.needs_key && record.key.is_none() {
            return Err(Error::KeyRequired(id.clone()));
        }
        match (self.window, record.timestamp) {
            (Some(window), Some(timestamp)) => window.check(id, timestamp, wall),
            _ => Ok(()),
        }
    }
}

/// A batch that is being filled, or waits to be sent.
#[derive(Debug)]
pub(super) struct OpenBatch {
    pub(super) builder: BatchBuilder,
    /// The batch as it goes into the log, once that was tried; the builder is empty then.
    pub(super) finished: Option<Finished>,
    pub(super) pledge: Pledge,
    /// Monotonic time.
    pub(super) opened: Duration,
    /// Bytes taken from the producer's memory.
    pub(super) reserved: usize,
    /// What it may take after compression.
    pub(super) limits: BatchLimits,
}

/// What a builder came to.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) bytes: Vec<u8>,
    pub(super) records: i32,
    pub(super) uncompressed: usize,
}

impl OpenBatch {
    pub(super) fn records(&self) -> i32 {
        self.finished.as_ref().map_or_else(|| self.builder.count(), |finished| finished.records)
    }
}

/// What became of an attempt to append.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The record is in a batch, and whether the sender ought to look.
    Accepted(Delivery, bool),
    /// There is no memory left.
    NoMemory,
    /// Another thread is just at it.
    Contended,
}

/// Some records in a row that went into one batch.
#[derive(Debug)]
pub(super) struct Run {
    /// How many; at least one.
    pub(super) count: usize,
    /// About how long they are.
    pub(super) bytes: usize,
    /// The last one's.
    pub(super) delivery: Delivery,
    /// Whether the sender ought to look.
    pub(super) ready: bool,
}

/// One partition of a producer.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: TopicPartition,
    pub(super) partition: Arc<Partition>,
    /// The state of every record, where no acknowledgement is wanted.
    accepted: Option<Arc<BatchState>>,
    /// Whether the queue holds this slot.
    queued: AtomicBool,
    /// When appending is tried again (nanoseconds of the monotonic clock), where the last attempt
    /// met a process that keeps the partition's lock; else 0.
    retry: AtomicU64,
    batches: Mutex<Batches>,
}

#[derive(Debug)]
struct Batches {
    limits: Limits,
    full: VecDeque<OpenBatch>,
    open: Option<OpenBatch>,
    /// The newest batch of all, sent or not.
    last: Option<Arc<BatchState>>,
}

impl Slot {
    pub(super) fn new(partition: Arc<Partition>, limits: Limits, acks: Durability) -> Self {
        let id = partition.id().clone();
        let accepted = (acks == Durability::Accepted).then(|| BatchState::accepted(id.clone()));
        let batches = Batches { limits, full: VecDeque::new(), open: None, last: None };
        let (queued, retry) = (AtomicBool::new(false), AtomicU64::new(0));
        Self { id, partition, accepted, queued, retry, batches: Mutex::new(batches) }
    }

    /// The topic's settings changed: later records are held to these limits.
    pub(super) fn set_limits(&self, limits: Limits) {
        self.lock().limits = limits;
    }

    fn lock(&self) -> MutexGuard<'_, Batches> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest batch, unless all is delivered. Batches of one partition are settled in order.
    pub(super) fn unsettled(&self) -> Option<Arc<BatchState>> {
        self.lock().last.clone().filter(|state| !state.is_settled())
    }

    /// When appending is tried again, where another process keeps the partition's lock.
    pub(super) fn retry(&self) -> Option<Duration> {
        let nanos = self.retry.load(Ordering::Relaxed);
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }

    pub(super) fn set_retry(&self, at: Option<Duration>) {
        let nanos = at.map_or(0, |at| u64::try_from(at.as_nanos()).unwrap_or(u64::MAX));
        self.retry.store(nanos, Ordering::Relaxed);
    }

    /// Puts batches back that were taken, in their order, ahead of all others.
    pub(super) fn give_back(&self, taken: impl DoubleEndedIterator<Item = OpenBatch>) {
        let mut batches = self.lock();
        taken.rev().for_each(|batch| batches.full.push_front(batch));
    }

    /// The first batch, if it was opened before `moment`.
    pub(super) fn take_opened_before(&self, moment: Duration) -> Option<OpenBatch> {
        let mut batches = self.lock();
        if let Some(first) = batches.full.front() {
            return if first.opened < moment { batches.full.pop_front() } else { None };
        }
        batches.open.take_if(|open| open.opened < moment)
    }

    /// The batches whose turn it is, and when the open one is due if it stays.
    pub(super) fn take_due(&self, into: &mut Vec<OpenBatch>, due: &Due) -> Option<Duration> {
        let mut batches = self.lock();
        into.extend(batches.full.drain(..));
        let open = batches.open.as_ref()?;
        let at = open.opened.saturating_add(due.linger);
        if due.all || at <= due.now || open.builder.len() >= batches.limits.ready {
            into.extend(batches.open.take());
            return None;
        }
        Some(at)
    }
}

/// When a batch need not wait longer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) now: Duration,
    pub(super) linger: Duration,
    /// Whatever is there is due: somebody flushes, or waits for memory.
    pub(super) all: bool,
}

/// All open batches of a producer.
#[derive(Debug)]
pub(super) struct Accumulator {
    pub(super) memory: Memory,
    queue: Mutex<VecDeque<Arc<Slot>>>,
    /// The queue's length, to look at without the lock.
    queued: AtomicUsize,
}

impl Accumulator {
    pub(super) fn new(buffer_memory: usize) -> Self {
        let (queue, queued) = (Mutex::default(), AtomicUsize::new(0));
        Self { memory: Memory::new(buffer_memory), queue, queued }
    }

    /// Puts a record into the open batch of `slot`, or into a new one. With `patient`, waits for
    /// another thread that is just doing the same.
    pub(super) fn append(
        &self,
        slot: &Arc<Slot>,
        sender: &Weak<Sender>,
        record: &Outgoing<'_>,
        wall: Timestamp,
        now: impl FnOnce() -> Duration,
        patient: bool,
    ) -> Result<Attempt> {
        let size = BatchBuilder::record_size(record.key, record.value, record.headers);
        if HEADER + size > self.memory.limit() {
            let (size, max) = (HEADER + size, self.memory.limit());
            return Err(Error::RecordTooLarge { size, max, setting: "buffer_memory" });
        }
        let mut batches = match slot.batches.try_lock() {
            Ok(batches) => batches,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if patient => slot.lock(),
            Err(TryLockError::WouldBlock) => return Ok(Attempt::Contended),
        };
        let limits = batches.limits;
        limits.check(&slot.id, record, HEADER + size, wall)?;
        let fits =
            batches.open.as_ref().is_some_and(|open| open.builder.len() + size <= limits.full);
        // What the open batch took from memory, and has not filled yet.
        let open = batches.open.as_ref().filter(|_| fits);
        let room = open.map_or(0, |open| open.reserved.saturating_sub(open.builder.len()));
        let need = if fits { size } else { HEADER + size };
        let Some(taken) = self.memory.take_for(need, room) else {
            return Ok(Attempt::NoMemory);
        };
        if !fits {
            self.open(slot, &mut batches, sender, now());
        }
        let open = batches.open.as_mut().expect("a batch is open: it was, or was just opened");
        open.reserved += taken;
        let before = open.builder.len();
        let timestamp = record.timestamp.unwrap_or(wall);
        let index = open.builder.append(timestamp, record.key, record.value, record.headers);
        // It need not linger any more.
        let full = before < limits.ready && open.builder.len() >= limits.ready;
        let state = slot.accepted.as_ref().unwrap_or(&open.pledge.0);
        let delivery = Delivery::new(Arc::clone(state), timestamp, index);
        drop(batches);
        if !fits && !slot.queued.swap(true, Ordering::AcqRel) {
            self.enqueue(Arc::clone(slot));
        }
        Ok(Attempt::Accepted(delivery, !fits || full))
    }

    /// Puts what fits of `values`, at most `bytes` of them, into the open batch of `slot`: one
    /// lock for all. What does not fit, or needs waiting, or is too large, is left to `append`.
    pub(super) fn append_run(
        &self,
        slot: &Slot,
        like: &Outgoing<'_>,
        wall: Timestamp,
        values: &[&[u8]],
        bytes: usize,
    ) -> Option<Run> {
        let mut batches = slot.batches.try_lock().ok()?;
        let limits = batches.limits;
        let open = batches.open.as_mut()?;
        let before = open.builder.len();
        let least = BatchBuilder::record_size(like.key, None, like.headers);
        let mut need = 0;
        let fitting = values.iter().take_while(|value| {
            let size = least + value.len();
            let alone = Outgoing { value: Some(value), ..*like };
            let fits = need < bytes
                && before + need + size <= limits.full
                && limits.check(&slot.id, &alone, HEADER + size, wall).is_ok();
            need += if fits { size } else { 0 };
            fits
        });
        let count = fitting.count();
        open.reserved += self.memory.take_for(need, open.reserved.saturating_sub(before))?;
        let timestamp = like.timestamp.unwrap_or(wall);
        let mut index = None;
        for value in &values[..count] {
            index = Some(open.builder.append(timestamp, like.key, Some(value), like.headers));
        }
        let state = slot.accepted.as_ref().unwrap_or(&open.pledge.0);
        let delivery = Delivery::new(Arc::clone(state), timestamp, index?);
        let ready = before < limits.ready && open.builder.len() >= limits.ready;
        Some(Run { count, bytes: need, delivery, ready })
    }

    fn open(&self, slot: &Slot, batches: &mut Batches, sender: &Weak<Sender>, opened: Duration) {
        let Limits { compression, level, batch, .. } = batches.limits;
        let builder = BatchBuilder::with_buffer(compression, level, self.memory.buffer());
        let state = Arc::new(BatchState::new(slot.id.clone(), sender.clone()));
        batches.last = Some(Arc::clone(&state));
        let old = batches.open.replace(OpenBatch {
            builder,
            finished: None,
            pledge: Pledge(state),
            opened,
            reserved: 0,
            limits: batch,
        });
        batches.full.extend(old);
    }

    fn enqueue(&self, slot: Arc<Slot>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.push_back(slot);
        self.queued.store(queue.len(), Ordering::SeqCst);
    }

    /// Takes the slots with work in them, in the order in which they got it. A record that comes
    /// afterwards queues its slot anew.
    pub(super) fn take_queue(&self, into: &mut Vec<Arc<Slot>>) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        into.extend(queue.drain(..));
        self.queued.store(0, Ordering::SeqCst);
        drop(queue);
        for slot in into {
            slot.queued.store(false, Ordering::Release);
        }
    }

    /// Puts a slot back whose open batch lingers.
    pub(super) fn put_back(&self, slot: &Arc<Slot>) {
        if !slot.queued.swap(true, Ordering::AcqRel) {
            self.enqueue(Arc::clone(slot));
        }
    }

    /// Whether no batch waits to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.queued.load(Ordering::SeqCst) == 0
    }
}
