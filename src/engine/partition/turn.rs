//! The right to change a partition: its lock, and the order it is to be in for who has that.

use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, TryLockError};

use crate::engine::control::page::Page;
use crate::engine::partition::Partition;
use crate::engine::patience::Patience;
use crate::engine::topics;
use crate::env::point::point;
use crate::env::wake::Woken;
use crate::env::{Lock, Mode};
use crate::error::{At, Error, Result};
use crate::log::files;
use crate::log::segment::Segment;
use crate::planted::planted;

/// How often is looked for the lock of a partition, others let run in between, before one sleeps
/// until it is free: an append takes microseconds, less than to sleep and to be woken.
const LOOKS: u32 = 20;

/// The right to change the partition; ends when dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    /// `None` only while it is dropped.
    lock: Option<Held<'a>>,
    page: &'a Page,
}

type Held<'a> = MutexGuard<'a, Option<Box<dyn Lock>>>;

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(mut held) = self.lock.take() else { return };
        let released = held.as_ref().map_or(Ok(()), |lock| lock.release());
        if let Err(error) = released {
            // Without its handle the lock ends for sure; the next turn makes another.
            log::error!("a partition's lock could not be given back: {error}");
            *held = None;
        }
        drop(held);
        self.page.call_next();
    }
}

impl Partition {
    /// Waits for the right to change the partition. When it is given, the page is filled and what
    /// a dead process left is cut away.
    pub(crate) fn turn(&self) -> Result<Turn<'_>> {
        let turn = self.turn_unprepared()?;
        if self.page.is_deleted() {
            return Err(Error::UnknownTopicOrPartition(self.id.clone()));
        }
        if !self.page.is_valid() {
            // Until it is over it is not known what will come back of what it cuts.
            let was_cut = self.page.intent();
            self.page.set_intent(true);
            topics::write_metadata(&*self.shared.env.storage, &self.dir, self.topic_id)?;
            point("recovery.metadata");
            self.fill(was_cut)?;
            self.page.set_intent(false);
        } else if self.page.intent() && !planted("no-rollback") {
            self.roll_back()?;
        }
        if self.page.swaps() % 2 == 1 {
            self.settle()?;
        }
        Ok(turn)
    }

    /// Takes a turn only to have the log in order.
    pub(crate) fn pass(&self) -> Result<()> {
        let passed = self.turn().map(drop);
        self.rest();
        passed
    }

    /// Closes the handle of the lock: who does not append needs it no more.
    pub(crate) fn rest(&self) {
        if let Ok(mut lock) = self.writer.try_lock() {
            *lock = None;
        }
    }

    /// The lock alone. [`Error::Timeout`] when this thread's patience ends: its holder may have
    /// been stopped.
    pub(crate) fn turn_unprepared(&self) -> Result<Turn<'_>> {
        let clock = &*self.shared.env.clock;
        for _ in 0..LOOKS {
            if let Some(turn) = self.try_turn()? {
                return Ok(turn);
            }
            clock.give_way();
        }
        let queue = self.page.queue();
        let mut patience = Patience::new("the lock of a partition", clock);
        loop {
            // Whoever has the lock sees it and wakes one; who takes it has set it and does so too.
            queue.store(1, Ordering::SeqCst);
            if let Some(turn) = self.try_turn()? {
                return Ok(turn);
            }
            patience.nap(|clock, time| clock.wait(queue, 1, time) == Woken::TimedOut)?;
        }
    }

    fn try_turn(&self) -> Result<Option<Turn<'_>>> {
        let mut lock = match self.writer.try_lock() {
            Ok(lock) => lock,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        let taken = self.made(&mut lock)?.try_acquire(Mode::Exclusive).at("lock", &self.dir)?;
        Ok(taken.then(|| Turn { lock: Some(lock), page: &self.page }))
    }

    /// The handle of the folder's lock, made when first needed.
    fn made<'a>(&self, lock: &'a mut Option<Box<dyn Lock>>) -> Result<&'a dyn Lock> {
        let made = match lock.take() {
            Some(made) => made,
            None => self.make_lock()?,
        };
        Ok(&**lock.insert(made))
    }

    fn make_lock(&self) -> Result<Box<dyn Lock>> {
        self.check_place()?;
        match self.shared.env.storage.lock_dir(&self.dir) {
            Err(error) if error.kind() == ErrorKind::NotFound && self.page.is_deleted() => {
                Err(Error::UnknownTopicOrPartition(self.id.clone()))
            }
            made => made.at("open", &self.dir),
        }
    }

    /// Cuts what the last holder of the lock wrote and did not live to publish. Nobody saw it and
    /// nobody was told that it is there.
    fn roll_back(&self) -> Result<()> {
        let tail = self.page.tail();
        let bases = files::offsets(&*self.shared.env.storage, &self.dir, files::LOG)?;
        let begun: Vec<i64> = bases.into_iter().filter(|base| *base > tail.segment_base).collect();
        for base in &begun {
            Segment::remove(&*self.shared.env.storage, &self.dir, *base)?;
            point("rollback.removed");
        }
        if !begun.is_empty() {
            // Else a crash could bring one back, and what comes next would lie in front of it.
            self.sync_names()?;
        }
        self.segments.clear();
        let active = self.active(tail.segment_base)?;
        active.log.set_len(tail.end_position).at("truncate", &active.path)?;
        point("rollback.cut");
        active.index.truncate(tail.index_entries)?;
        active.times.truncate(tail.time_entries)?;
        point("rollback.indexed");
        self.sync_cut(&active)?;
        self.page.set_intent(false);
        Ok(())
    }
}
