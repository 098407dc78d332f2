//! The records of a batch, read one after the other; they borrow from it.
//!
//! A record of magic 2:
//!
//! ```text
//! length varint | attributes i8 | timestamp delta varlong | offset delta varint
//!   | key length varint | key | value length varint | value
//!   | headers count varint | (key length varint | key | value length varint | value)*
//! ```
//!
//! `length` counts the bytes behind itself; a null key or value has the length -1.

use super::batch::Contents;
use super::headers::{Headers, field};
use super::legacy;
use super::varint::{read_i32, read_i64};
use crate::error::Corruption;
use crate::types::Timestamp;

/// The fewest bytes a v2 record takes: seven fields of one byte.
pub(crate) const MIN_SIZE: usize = 7;

/// One record; its bytes lie in the batch's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its place in the partition.
    pub offset: i64,
    /// Milliseconds since the epoch, or -1.
    pub timestamp: Timestamp,
    /// The key; records of one key keep their order and are compacted together.
    pub key: Option<&'a [u8]>,
    /// The value; null marks the key as deleted where the topic is compacted.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: Headers<'a>,
}

/// How records are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Legacy,
    V2,
}

/// What the records' offsets and timestamps count from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base {
    pub(crate) format: Format,
    pub(crate) offset: i64,
    pub(crate) timestamp: Timestamp,
    /// The time of the append, which hides the records' own timestamps.
    pub(crate) log_append_time: Option<Timestamp>,
}

impl<'a> Record<'a> {
    /// Takes one v2 record off the front of `bytes`.
    #[inline]
    pub(crate) fn parse(bytes: &mut &'a [u8], base: &Base) -> Result<Self, Corruption> {
        let Some(mut body) = field(bytes)? else {
            return Err(Corruption::Field("record length"));
        };
        let Some((_attributes, rest)) = body.split_first() else {
            return Err(Corruption::Length(0));
        };
        body = rest;
        // Wrong deltas give wrong numbers, never a panic: the checksum vouches for them.
        let timestamp = base.timestamp.wrapping_add(read_i64(&mut body)?);
        let offset = base.offset.wrapping_add(read_i32(&mut body)?.into());
        let key = field(&mut body)?;
        let value = field(&mut body)?;
        let headers = Headers::parse(body)?;
        let timestamp = base.log_append_time.unwrap_or(timestamp);
        Ok(Self { offset, timestamp, key, value, headers })
    }
}

/// A place between two records of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub(crate) position: usize,
    pub(crate) index: usize,
}

/// Reads a batch's records in order; ends after the first error.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    contents: &'a Contents,
    rest: &'a [u8],
    left: usize,
}

impl<'a> Records<'a> {
    /// Starts at `mark`; one of another batch gives errors or nothing.
    pub(crate) fn new(contents: &'a Contents, mark: Mark) -> Self {
        Self {
            contents,
            rest: contents.data.get(mark.position..).unwrap_or_default(),
            left: contents.count.saturating_sub(mark.index),
        }
    }

    /// Where this reader stands; see [`Batch::records_at`](super::Batch::records_at).
    pub fn mark(&self) -> Mark {
        Mark {
            position: self.contents.data.len() - self.rest.len(),
            index: self.contents.count - self.left,
        }
    }

    #[inline]
    fn read(&mut self) -> Result<Record<'a>, Corruption> {
        if self.rest.is_empty() {
            return Err(self.miscounted(0));
        }
        let base = &self.contents.base;
        let record = match base.format {
            Format::V2 => Record::parse(&mut self.rest, base)?,
            Format::Legacy => legacy::record(&mut self.rest, base)?,
        };
        if self.left == 1 && !self.rest.is_empty() {
            return Err(self.miscounted(2));
        }
        Ok(record)
    }

    /// There are `more` records, or at least so many, where `left` are due.
    #[cold]
    fn miscounted(&self, more: usize) -> Corruption {
        let header = self.contents.count;
        Corruption::Count { header: header as i64, found: (header - self.left + more) as i64 }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Corruption>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let record = self.read();
        self.left = if record.is_ok() { self.left - 1 } else { 0 };
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}
