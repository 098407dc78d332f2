//! One round of sending: append what is due, make it durable, settle it, run the callbacks.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use crate::client::producer::accumulator::{Due, Finished, OpenBatch, Slot};
use crate::client::producer::delivery::{Delivered, Pledge, Settled};
use crate::client::producer::sender::Sender;
use crate::engine::{Appended, with_patience};
use crate::error::{Error, Result};
use crate::record::BatchBuilder;
use crate::types::{Compression, Durability, TopicPartition};

/// How long an append waits for a partition's lock before the other partitions have their turn:
/// who has it may have been stopped.
const PATIENCE: Duration = Duration::from_millis(20);
/// The same where that has happened before, or where a user's call must end in time.
const BRIEF: Duration = Duration::from_millis(1);
/// When such a partition is tried again.
const RETRY: Duration = Duration::from_millis(5);

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

impl Written {
    fn new(slot: &Arc<Slot>, batch: OpenBatch, records: i32, outcome: Result<Appended>) -> Self {
        let OpenBatch { pledge, reserved, .. } = batch;
        Self {
            slot: Arc::clone(slot),
            pledge,
            reserved,
            records,
            outcome: outcome.map_err(Arc::new),
        }
    }
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

impl Round {
    fn look_again(&mut self, at: Duration) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// How long to wait for the lock of a partition. A user's call waits once.
    fn patience(&self, patient: bool, slot: &Slot) -> Duration {
        match patient {
            true if slot.retry().is_none() => PATIENCE,
            false if self.left => Duration::ZERO,
            _ => BRIEF,
        }
    }
}

impl Sender {
    /// Sends what is due: appends to all partitions first, then syncs them, then settles. Unless it
    /// is `patient`, it leaves to the thread what may take long: logs that must be recovered, and
    /// partitions whose lock somebody else keeps, perhaps a process that was stopped.
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
            let retry = slot.retry().filter(|at| *at > due.now && self.abandoned().is_none());
            if retry.is_some() || !(patient || slot.partition.is_recovered()) {
                round.left = true;
                round.look_again(retry.unwrap_or(due.now.saturating_add(RETRY)));
                self.give_up_overdue(&slot, due.now, written);
                self.accumulator.put_back(&slot);
                continue;
            }
            if let Some(at) = slot.take_due(batches, &due) {
                round.look_again(at);
                self.accumulator.put_back(&slot);
            }
            let mut due_now = batches.drain(..);
            while let Some(batch) = due_now.next() {
                match self.write(&slot, batch, due.now, round.patience(patient, &slot)) {
                    Ok(done) => {
                        round.worked = true;
                        written.push(done);
                    }
                    Err(stuck) => {
                        slot.give_back(std::iter::once(*stuck).chain(due_now));
                        if patient {
                            slot.set_retry(Some(self.now().saturating_add(RETRY)));
                        }
                        round.left = true;
                        round.look_again(due.now.saturating_add(RETRY));
                        self.accumulator.put_back(&slot);
                        break;
                    }
                }
                if self.config.acks != Durability::Durable {
                    self.settle(written, settled);
                }
            }
        }
        self.settle(written, settled);
        self.run_callbacks(settled);
        round
    }

    /// Appends one batch; gives it back if another process keeps the partition's lock.
    fn write(
        &self,
        slot: &Arc<Slot>,
        mut batch: OpenBatch,
        now: Duration,
        patience: Duration,
    ) -> std::result::Result<Written, Box<OpenBatch>> {
        if let Some(error) = self.too_late(batch.opened, now) {
            let records = batch.records();
            return Ok(Written::new(slot, batch, records, Err(error)));
        }
        let outcome = finished(&mut batch, &slot.id)
            .and_then(|()| with_patience(patience, || append(slot, &mut batch, self.config.acks)));
        if let Err(Error::Timeout { .. }) = outcome {
            return Err(Box::new(batch));
        }
        slot.set_retry(None);
        let records = batch.records();
        if let Some(Finished { bytes, uncompressed, .. }) = batch.finished.take() {
            if outcome.is_ok() {
                self.metrics.sent(records, uncompressed, bytes.len());
            }
            self.accumulator.memory.recycle(bytes);
        }
        Ok(Written::new(slot, batch, records, outcome))
    }

    /// Why a batch is not to be sent any more, if so.
    fn too_late(&self, opened: Duration, now: Duration) -> Option<Error> {
        if let Some(after) = self.abandoned() {
            return Some(Error::Timeout { what: "closing the producer", after });
        }
        (now.saturating_sub(opened) > self.config.delivery_timeout).then(|| self.overdue())
    }

    fn overdue(&self) -> Error {
        let after = self.config.delivery_timeout;
        Error::Timeout { what: "the delivery of the record", after }
    }

    /// Fails the batches of a partition that waited longer than they may.
    fn give_up_overdue(&self, slot: &Arc<Slot>, now: Duration, written: &mut Vec<Written>) {
        let since = now.saturating_sub(self.config.delivery_timeout);
        while let Some(batch) = slot.take_opened_before(since) {
            let records = batch.records();
            written.push(Written::new(slot, batch, records, Err(self.overdue())));
        }
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

fn append(slot: &Slot, batch: &mut OpenBatch, acks: Durability) -> Result<Appended> {
    let finished = batch.finished.as_mut().expect("a batch is finished before it is appended");
    uninterrupted(|| slot.partition.append_for(&mut finished.bytes, acks))
}

/// Finishes a batch, unless an earlier attempt did.
fn finished(batch: &mut OpenBatch, id: &TopicPartition) -> Result<()> {
    if batch.finished.is_none() {
        let builder =
            std::mem::replace(&mut batch.builder, BatchBuilder::new(Compression::None, None));
        let (records, uncompressed) = (builder.count(), builder.len());
        let bytes = finish(builder)?;
        batch.limits.check(id, bytes.len())?;
        batch.finished = Some(Finished { bytes, records, uncompressed });
    }
    Ok(())
}

/// Compresses and checksums a batch.
fn finish(builder: BatchBuilder) -> Result<Vec<u8>> {
    builder
        .finish()
        .map_err(|what| Error::InvalidArgument(format!("the records cannot be encoded: {what}")))
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
