//! One round of sending: append what is due, make it durable, settle it, run the callbacks.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use crate::client::accumulator::{Due, OpenBatch, Slot};
use crate::client::delivery::{Delivered, Pledge, Settled};
use crate::client::sender::Sender;
use crate::engine::Appended;
use crate::error::{Error, Result};
use crate::types::Durability;

/// What a round works with; kept for its capacity.
#[derive(Default)]
pub(super) struct Worker {
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
pub(super) struct Round {
    pub(super) worked: bool,
    /// Whether something that may be due was left to the thread.
    pub(super) left: bool,
    /// When the first lingering batch is due.
    pub(super) next: Option<Duration>,
}

impl Sender {
    /// Sends what is due: appends to all partitions first, then syncs them, then settles. Leaves
    /// partitions whose lock somebody else has, unless it is `patient`.
    pub(super) fn round(&self, worker: &mut Worker, patient: bool) -> Round {
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
