//! One record, borrowed from its batch.
//!
//! ```text
//! length varint | attributes i8 | timestamp delta varlong | offset delta varint
//!   | key length varint | key | value length varint | value
//!   | headers count varint | (key length varint | key | value length varint | value)*
//! ```
//!
//! `length` counts the bytes behind itself; a null key or value has the length -1.

use super::headers::{Headers, field};
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

/// What a record's deltas count from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base {
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
