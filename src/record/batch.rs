//! One batch, decoded: its records, read one after the other out of one buffer.

use bytes::Bytes;

use super::codec;
use super::fields::v2;
use super::info::{BatchInfo, whole};
use super::records::{Base, MIN_SIZE, Record};
use crate::error::Corruption;
use crate::types::{Compression, TimestampType};

/// A batch whose records can be read.
#[derive(Clone, Debug)]
pub struct Batch {
    info: BatchInfo,
    /// The records, decompressed; uncompressed ones lie where they came in.
    data: Bytes,
    /// Where the first record begins in `data`.
    start: usize,
    count: usize,
}

impl Batch {
    /// Decodes `bytes`, which must be exactly one batch, and decompresses its records into at
    /// most `limit` bytes.
    ///
    /// The checksum is not looked at: that is [`verify`](super::verify)'s. The records are
    /// checked as they are read.
    pub fn decode(bytes: Bytes, limit: usize) -> Result<Self, Corruption> {
        let info = whole(&bytes)?;
        match info.magic {
            2 => Self::decode_v2(info, bytes, limit),
            magic => Err(Corruption::Magic(magic)),
        }
    }

    fn decode_v2(info: BatchInfo, bytes: Bytes, limit: usize) -> Result<Self, Corruption> {
        let count = info.records_count.unwrap_or(0);
        let count = usize::try_from(count).map_err(|_| Corruption::Field("records count"))?;
        let (data, start) = match info.compression {
            Compression::None => (bytes, v2::RECORDS),
            _ if count == 0 => (Bytes::new(), 0),
            codec => (codec::decompress(codec, &bytes[v2::RECORDS..], limit)?.into(), 0),
        };
        let most = (data.len() - start) / MIN_SIZE;
        if count > most {
            return Err(Corruption::Count { header: count as i64, found: most as i64 });
        }
        Ok(Self { info, data, start, count })
    }

    /// What the header says.
    pub const fn info(&self) -> &BatchInfo {
        &self.info
    }

    /// The buffer in which keys, values and headers lie.
    pub const fn data(&self) -> &Bytes {
        &self.data
    }

    /// Reads the records from the first one on.
    pub fn records(&self) -> Records<'_> {
        self.records_at(Mark { position: self.start, index: 0 })
    }

    /// Reads the records from a place where an earlier reader of this batch stood.
    pub fn records_at(&self, mark: Mark) -> Records<'_> {
        Records {
            rest: self.data.get(mark.position..).unwrap_or_default(),
            left: self.count.saturating_sub(mark.index),
            base: self.base(),
            batch: self,
        }
    }

    fn base(&self) -> Base {
        Base {
            offset: self.info.base_offset,
            timestamp: self.info.base_timestamp,
            log_append_time: match self.info.timestamp_type {
                TimestampType::CreateTime => None,
                TimestampType::LogAppendTime => Some(self.info.max_timestamp),
            },
        }
    }
}

/// A place between two records of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    position: usize,
    index: usize,
}

/// Reads a batch's records in order; ends after the first error.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    batch: &'a Batch,
    rest: &'a [u8],
    left: usize,
    base: Base,
}

impl<'a> Records<'a> {
    /// Where this reader stands; see [`Batch::records_at`].
    pub fn mark(&self) -> Mark {
        Mark {
            position: self.batch.data.len() - self.rest.len(),
            index: self.batch.count - self.left,
        }
    }

    #[inline]
    fn read(&mut self) -> Result<Record<'a>, Corruption> {
        let record = Record::parse(&mut self.rest, &self.base)?;
        self.left -= 1;
        if self.left == 0 && !self.rest.is_empty() {
            return Err(self.miscounted(1));
        }
        Ok(record)
    }

    #[cold]
    fn miscounted(&self, more: i64) -> Corruption {
        let header = self.batch.count as i64;
        Corruption::Count { header, found: header - self.left as i64 + more }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Corruption>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        if self.rest.is_empty() {
            let error = self.miscounted(0);
            self.left = 0;
            return Some(Err(error));
        }
        let record = self.read();
        if record.is_err() {
            self.left = 0;
        }
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}
