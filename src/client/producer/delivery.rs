//! What becomes of a record: one shared [`BatchState`] for a batch, one small [`Delivery`] for
//! each of its records.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::client::producer::round::Working;
use crate::client::producer::sender::Sender;
use crate::env::wake::{self, Woken};
use crate::error::{Error, Result};
use crate::types::{Timestamp, TimestampType, TopicPartition};

/// Where a record went, or why it did not.
pub type DeliveryResult = std::result::Result<RecordMetadata, Arc<Error>>;

/// What to do with the result of a delivery.
pub type Callback = Box<dyn FnOnce(&DeliveryResult) + Send>;

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    /// The partition.
    pub topic_partition: TopicPartition,
    /// The record's offset; -1 when nobody waits to know it (`acks=0`).
    pub offset: i64,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// Whether the producer or the log set the timestamp.
    pub timestamp_type: TimestampType,
}

/// Where a batch was appended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivered {
    /// The offset of its first record; -1 if it is not known.
    pub(super) base_offset: i64,
    /// The timestamp of all its records, if the log set it.
    pub(super) log_append_time: Option<Timestamp>,
}

/// The record is to be acknowledged; nobody sleeps on that.
const PENDING: u32 = 0;
/// The same, and somebody sleeps.
const AWAITED: u32 = 1;
/// Decided, and the callbacks ran.
const DONE: u32 = 2;

/// The fate that the records of one batch share.
pub(super) struct BatchState {
    topic_partition: TopicPartition,
    /// One of the three above; the word waiters sleep on.
    word: AtomicU32,
    outcome: OnceLock<std::result::Result<Delivered, Arc<Error>>>,
    callbacks: Mutex<Callbacks>,
    /// Who sends it; dead when everything of that producer is done.
    sender: Weak<Sender>,
}

#[derive(Default)]
struct Callbacks {
    /// Whether the list was taken, so that a callback that comes now runs at once.
    taken: bool,
    list: Vec<(Delivery, Callback)>,
}

impl BatchState {
    pub(super) fn new(topic_partition: TopicPartition, sender: Weak<Sender>) -> Self {
        Self {
            topic_partition,
            word: AtomicU32::new(PENDING),
            outcome: OnceLock::new(),
            callbacks: Mutex::default(),
            sender,
        }
    }

    /// The state of every batch of a producer that wants no acknowledgement.
    pub(super) fn accepted(topic_partition: TopicPartition) -> Arc<Self> {
        let state = Arc::new(Self::new(topic_partition, Weak::new()));
        drop(state.decide(Ok(Delivered { base_offset: -1, log_append_time: None })));
        state
    }

    /// Decides the batch, once. The callbacks are for the caller to [`run`](Settled::run).
    pub(super) fn decide(
        self: &Arc<Self>,
        outcome: std::result::Result<Delivered, Arc<Error>>,
    ) -> Settled {
        let first = self.outcome.set(outcome).is_ok();
        let callbacks = if first { self.take_callbacks() } else { Vec::new() };
        Settled { state: Arc::clone(self), callbacks }
    }

    fn take_callbacks(&self) -> Vec<(Delivery, Callback)> {
        let mut callbacks = self.callbacks.lock().unwrap_or_else(PoisonError::into_inner);
        callbacks.taken = true;
        std::mem::take(&mut callbacks.list)
    }

    /// Lets the waiters go.
    fn announce(&self) {
        if self.word.swap(DONE, Ordering::AcqRel) == AWAITED {
            wake::wake_all(&self.word);
        }
    }

    /// Whether the outcome is known and all callbacks ran.
    pub(super) fn is_settled(&self) -> bool {
        self.word.load(Ordering::Acquire) == DONE
    }

    /// Waits until the batch is decided and its callbacks ran; sends it in this thread if nobody
    /// else is at work.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Result<()> {
        if self.is_settled() {
            return Ok(());
        }
        let Some(sender) = self.sender.upgrade() else {
            // Its last callbacks are just returning.
            while !self.is_settled() {
                self.sleep(timeout, timeout)?;
            }
            return Ok(());
        };
        if sender.is_forked() {
            return Err(Error::Forked("producer"));
        }
        if Working::on(&sender) {
            return self.wait_inside_callback();
        }
        let deadline = timeout.map(|timeout| sender.now().saturating_add(timeout));
        sender.help();
        while !self.is_settled() {
            let left = deadline.map(|deadline| deadline.saturating_sub(sender.now()));
            self.sleep(left, timeout)?;
        }
        Ok(())
    }

    /// A callback that waits for its own batch, or one before it, has the answer; for a later one
    /// it would wait for ever.
    fn wait_inside_callback(&self) -> Result<()> {
        match self.outcome.get() {
            Some(_) => Ok(()),
            None => Err(Error::IllegalState(
                "a callback cannot wait for a later record of its own producer",
            )),
        }
    }

    /// Sleeps once. `asked` is the whole time that the error names.
    fn sleep(&self, left: Option<Duration>, asked: Option<Duration>) -> Result<()> {
        const FOREVER: Duration = Duration::from_secs(3_600);

        if left.is_some_and(|left| left.is_zero()) {
            let after = asked.unwrap_or_default();
            return Err(Error::Timeout { what: "the delivery of the record", after });
        }
        let old = self.word.compare_exchange(PENDING, AWAITED, Ordering::AcqRel, Ordering::Acquire);
        if old == Err(DONE) {
            return Ok(());
        }
        match wake::wait(&self.word, AWAITED, left.unwrap_or(FOREVER)) {
            Woken::Interrupted if !self.is_settled() => Err(Error::Interrupted),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for BatchState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchState")
            .field("topic_partition", &self.topic_partition)
            .field("outcome", &self.outcome.get())
            .finish_non_exhaustive()
    }
}

/// A batch that is decided; its callbacks are still to run. Dropping it runs them, and lets the
/// waiters go after them, as Kafka's clients do.
pub(super) struct Settled {
    state: Arc<BatchState>,
    callbacks: Vec<(Delivery, Callback)>,
}

impl Settled {
    pub(super) fn has_callbacks(&self) -> bool {
        !self.callbacks.is_empty()
    }

    /// Runs the callbacks, but keeps the waiters waiting.
    pub(super) fn run(&mut self) {
        for (delivery, callback) in self.callbacks.drain(..) {
            if let Some(result) = delivery.result() {
                run(callback, &result);
            }
        }
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        self.run();
        self.state.announce();
    }
}

/// The promise that a batch is decided: broken, it fails the batch.
#[derive(Debug)]
pub(super) struct Pledge(pub(super) Arc<BatchState>);

impl Drop for Pledge {
    fn drop(&mut self) {
        if self.0.outcome.get().is_none() {
            drop(self.0.decide(Err(Arc::new(Error::Closed("producer")))));
        }
    }
}

/// A panic in a user's function ends that function only.
fn run(callback: Callback, result: &DeliveryResult) {
    if catch_unwind(AssertUnwindSafe(|| callback(result))).is_err() {
        log::error!("a delivery callback panicked");
    }
}

/// One record on its way.
#[derive(Clone, Debug)]
pub struct Delivery {
    batch: Arc<BatchState>,
    timestamp: Timestamp,
    index: i32,
}

impl Delivery {
    pub(super) fn new(batch: Arc<BatchState>, timestamp: Timestamp, index: i32) -> Self {
        Self { batch, timestamp, index }
    }

    /// Where the record is going.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.batch.topic_partition
    }

    /// The timestamp it was sent with.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Whether both records share a batch, and so their fate.
    pub fn same_batch(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.batch, &other.batch)
    }

    /// Whether it arrived or failed.
    pub fn is_done(&self) -> bool {
        self.batch.outcome.get().is_some()
    }

    /// Where it arrived or why it failed, if that is known.
    pub fn result(&self) -> Option<DeliveryResult> {
        self.batch.outcome.get().map(|outcome| match outcome {
            Ok(delivered) => Ok(self.metadata(*delivered)),
            Err(error) => Err(Arc::clone(error)),
        })
    }

    fn metadata(&self, delivered: Delivered) -> RecordMetadata {
        let base = delivered.base_offset;
        RecordMetadata {
            topic_partition: self.batch.topic_partition.clone(),
            offset: if base < 0 { -1 } else { base + i64::from(self.index) },
            timestamp: delivered.log_append_time.unwrap_or(self.timestamp),
            timestamp_type: match delivered.log_append_time {
                Some(_) => TimestampType::LogAppendTime,
                None => TimestampType::CreateTime,
            },
        }
    }

    /// Waits for the result. With nobody else at work, this thread does the work.
    ///
    /// The outer error is [`Error::Timeout`], [`Error::Interrupted`] by a signal, or
    /// [`Error::IllegalState`] in a callback of the same producer.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<DeliveryResult> {
        self.batch.wait(timeout)?;
        self.result().ok_or(Error::Closed("producer"))
    }

    /// Runs `callback` once: now if the result is known, else in the thread that learns it, in
    /// the order of sending.
    pub fn on_done(&self, callback: Callback) {
        let mut callbacks = self.batch.callbacks.lock().unwrap_or_else(PoisonError::into_inner);
        if !callbacks.taken {
            callbacks.list.push((self.clone(), callback));
            return;
        }
        drop(callbacks);
        if let Some(result) = self.result() {
            run(callback, &result);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Arc<BatchState> {
        Arc::new(BatchState::new(TopicPartition::new("t", 0), Weak::new()))
    }

    #[test]
    fn a_broken_promise_fails_the_batch() {
        let batch = batch();
        let delivery = Delivery::new(Arc::clone(&batch), 5, 0);

        drop(Pledge(batch));

        let result = delivery.wait(Some(Duration::ZERO)).unwrap();
        assert!(matches!(*result.unwrap_err(), Error::Closed(_)));
    }

    #[test]
    fn waiters_go_after_the_callbacks() {
        let batch = batch();
        let delivery = Delivery::new(Arc::clone(&batch), 5, 3);
        let seen = Arc::new(Mutex::new(None));
        let (inner, place) = (delivery.clone(), Arc::clone(&seen));
        delivery.on_done(Box::new(move |result| {
            let offset = result.as_ref().unwrap().offset;
            *place.lock().unwrap() = Some((offset, inner.is_done(), inner.batch.is_settled()));
        }));

        let settled = batch.decide(Ok(Delivered { base_offset: 10, log_append_time: None }));
        assert!(settled.has_callbacks() && !batch.is_settled());
        drop(settled);

        assert_eq!(*seen.lock().unwrap(), Some((13, true, false)));
        assert!(batch.is_settled());
    }

    #[test]
    fn a_wait_ends_when_its_time_is_over() {
        let delivery = Delivery::new(batch(), 5, 0);

        let result = delivery.wait(Some(Duration::ZERO));

        assert!(matches!(result, Err(Error::Timeout { .. })));
        assert!(!delivery.is_done() && delivery.result().is_none());
    }
}
