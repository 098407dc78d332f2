//! Reads one partition for a consumer: whole stretches of the log, kept until they are handed out.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::client::consumer::assignment::Budget;
use crate::client::consumer::polled::{Located, Polled};
use crate::config::consumer::ConsumerConfig;
use crate::engine::{AbortedTransaction, Chunk, Cursor, Partition};
use crate::error::{AtPosition, Result};
use crate::record::{Batch, BatchInfo, Mark, verify};
use crate::types::{IsolationLevel, TopicPartition};

/// What was read of a partition and not handed out yet.
#[derive(Debug)]
pub(super) struct Fetch {
    cursor: Cursor,
    chunks: VecDeque<Chunk>,
    current: Option<Current>,
    /// The offset that is handed out next.
    next: i64,
    /// The offset behind the last record handed out: below `next` if something without records
    /// follows it.
    handed: i64,
    /// Names this fetch among all of a consumer.
    stamp: u64,
    /// Aborted transactions in the first chunk, once it turned out to hold transactions.
    aborted: Option<Vec<AbortedTransaction>>,
}

/// The batch that is being handed out.
#[derive(Debug)]
struct Current {
    batch: Arc<Located>,
    from: Mark,
    left: usize,
}

impl Fetch {
    pub(super) fn new(offset: i64, stamp: u64) -> Self {
        let (chunks, current, aborted) = (VecDeque::new(), None, None);
        let (cursor, next, handed) = (Cursor::new(offset), offset, offset);
        Self { cursor, chunks, current, next, handed, stamp, aborted }
    }

    pub(super) fn next_offset(&self) -> i64 {
        self.next
    }

    pub(super) fn handed(&self) -> i64 {
        self.handed
    }

    pub(super) fn stamp(&self) -> u64 {
        self.stamp
    }

    /// Whether everything that was read was handed out.
    pub(super) fn is_drained(&self) -> bool {
        self.current.is_none() && self.chunks.is_empty()
    }

    /// Bytes that were read and not decoded yet.
    pub(super) fn buffered(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes.len()).sum()
    }

    /// Reads the next stretch, of at most `max_bytes` if the first batch is not larger. Gives its
    /// size; 0 at the end.
    pub(super) fn read(
        &mut self,
        partition: &Partition,
        max_bytes: usize,
        level: IsolationLevel,
    ) -> Result<usize> {
        let chunk = partition.read(&mut self.cursor, max_bytes, level)?;
        let size = chunk.bytes.len();
        if size > 0 {
            self.chunks.push_back(chunk);
        }
        Ok(size)
    }

    /// Moves what was read into `polled`, as far as the budget reaches.
    pub(super) fn take_all(
        &mut self,
        partition: &Partition,
        budget: &mut Budget,
        config: &ConsumerConfig,
        polled: &mut Vec<Polled>,
    ) -> Result<()> {
        while budget.records > 0 && budget.decompressed > 0 {
            let Some(some) = self.take(partition, budget, config)? else { break };
            budget.records -= some.len;
            polled.push(some);
        }
        Ok(())
    }

    /// Records of one batch, as far as the budget reaches; `None` if there are none in what was read. Batches with
    /// nothing for the user are skipped on the way. After an error nothing has moved.
    fn take(
        &mut self,
        partition: &Partition,
        budget: &mut Budget,
        config: &ConsumerConfig,
    ) -> Result<Option<Polled>> {
        loop {
            if let Some(current) = &mut self.current {
                let polled = current.take(partition.id(), budget.records, self.stamp)?;
                if current.left == 0 {
                    self.current = None;
                }
                self.next = polled.next_offset;
                self.handed = polled.next_offset;
                return Ok(Some(polled));
            }
            if !self.open_batch(partition, budget, config)? {
                // What lies behind the last record (control batches, gaps) is passed too.
                self.next = self.next.max(self.cursor.offset());
                return Ok(None);
            }
        }
    }

    /// Takes the first batch of the first chunk and makes it the current one, unless it has
    /// nothing for the user. `false` if there is no batch.
    fn open_batch(
        &mut self,
        partition: &Partition,
        budget: &mut Budget,
        config: &ConsumerConfig,
    ) -> Result<bool> {
        let Some(chunk) = self.chunks.front() else { return Ok(false) };
        let (info, batch) = decode_first(chunk, config)?;
        let skipped = info.last_offset < self.next
            || info.is_control
            || self.is_aborted(partition, &info, config.isolation_level)?;
        let current = if skipped { None } else { Current::new(batch, self.next)? };
        match &current {
            Some(current) => budget.decompressed(&current.batch.batch),
            None => self.next = self.next.max(info.next_offset()),
        }
        self.current = current;
        self.drop_first(info.size);
        Ok(true)
    }

    fn is_aborted(
        &mut self,
        partition: &Partition,
        info: &BatchInfo,
        level: IsolationLevel,
    ) -> Result<bool> {
        if level == IsolationLevel::ReadUncommitted || !info.is_transactional {
            return Ok(false);
        }
        let aborted = if let Some(aborted) = &self.aborted {
            aborted
        } else {
            let aborted = partition.aborted(info.base_offset, self.cursor.offset())?;
            self.aborted.insert(aborted)
        };
        Ok(aborted.iter().any(|transaction| {
            transaction.producer_id == info.producer_id
                && (transaction.first_offset..=transaction.last_offset).contains(&info.base_offset)
        }))
    }

    fn drop_first(&mut self, size: usize) {
        let Some(chunk) = self.chunks.front_mut() else { return };
        drop(chunk.bytes.split_to(size));
        chunk.position += size as u64;
        if chunk.bytes.is_empty() {
            self.chunks.pop_front();
            self.aborted = None;
        }
    }
}

fn decode_first(chunk: &Chunk, config: &ConsumerConfig) -> Result<(BatchInfo, Located)> {
    let Chunk { bytes, path, position } = chunk;
    let info = BatchInfo::parse(bytes).at_position(path, *position)?;
    let bytes = bytes.slice(..info.size.min(bytes.len()));
    if config.check_crcs {
        verify(&bytes).at_position(path, *position)?;
    }
    let batch = Batch::decode(bytes, config.max_decompressed_bytes)
        .at_position(path, *position)
        .map_err(|error| error.limited_by("max_decompressed_bytes", Some(info.next_offset())))?;
    Ok((*batch.info(), Located { batch, path: Arc::clone(path), position: *position }))
}

impl Current {
    /// The records of a batch from `offset` on; `None` if there are none.
    fn new(located: Located, offset: i64) -> Result<Option<Self>> {
        let Located { batch, path, position } = &located;
        let mut records = batch.records();
        let (mut from, mut left) = (records.mark(), batch.count());
        if batch.info().base_offset < offset {
            while let Some(record) = records.next() {
                if record.at_position(path, *position)?.offset >= offset {
                    break;
                }
                (from, left) = (records.mark(), left - 1);
            }
        }
        Ok((left > 0).then(|| Self { batch: Arc::new(located), from, left }))
    }

    fn take(&mut self, id: &TopicPartition, max: usize, stamp: u64) -> Result<Polled> {
        let (from, len) = (self.from, max.min(self.left));
        let next_offset =
            if len == self.left { self.batch.batch.info().next_offset() } else { self.pass(len)? };
        self.left -= len;
        let (topic_partition, batch) = (id.clone(), Arc::clone(&self.batch));
        Ok(Polled { topic_partition, batch, from, len, next_offset, stamp })
    }

    /// Goes behind the next `len` records; gives the offset behind the last one.
    fn pass(&mut self, len: usize) -> Result<i64> {
        let Located { batch, path, position } = &*self.batch;
        let mut records = batch.records_at(self.from);
        records.pass(len - 1).at_position(path, *position)?;
        let last = records.next().transpose().at_position(path, *position)?;
        let next = last.map_or(batch.info().next_offset(), |record| record.offset + 1);
        self.from = records.mark();
        Ok(next)
    }
}
