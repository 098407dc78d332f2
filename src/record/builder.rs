//! A batch in the making: records are encoded straight into the bytes that will be written.

use super::codec;
use super::fields::{self, LENGTH, LOG_OVERHEAD, MAGIC, attributes, put, v2};
use super::info::put_crc;
use super::varint::{self, MAX_VARINT, MAX_VARLONG};
use crate::error::Corruption;
use crate::types::{Compression, NO_TIMESTAMP, Timestamp};

/// Bytes of a record that hold neither key, value nor headers: length, attributes, timestamp
/// and offset deltas, lengths of key and value, count of headers; each at its longest.
const MAX_OVERHEAD: usize = 5 * MAX_VARINT + MAX_VARLONG + 1;

/// Builds one v2 batch.
#[derive(Debug)]
pub struct BatchBuilder {
    compression: Compression,
    level: Option<i32>,
    /// Room for the header, then the records, uncompressed.
    buffer: Vec<u8>,
    count: i32,
    base_timestamp: Timestamp,
    max_timestamp: Timestamp,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    attributes: u8,
}

impl BatchBuilder {
    /// An empty batch; `level` is the codec's own, and the codec's default if there is none.
    pub fn new(compression: Compression, level: Option<i32>) -> Self {
        Self::with_buffer(compression, level, Vec::new())
    }

    /// Like [`new`](Self::new), in a buffer of earlier use; what it holds is dropped.
    pub fn with_buffer(compression: Compression, level: Option<i32>, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.resize(v2::RECORDS, 0);
        Self {
            compression,
            level,
            buffer,
            count: 0,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            attributes: compression as u8,
        }
    }

    /// Names the idempotent producer, and the sequence number of the first record.
    pub fn set_producer(&mut self, id: i64, epoch: i16, base_sequence: i32) {
        (self.producer_id, self.producer_epoch) = (id, epoch);
        self.base_sequence = base_sequence;
    }

    /// Makes the batch part of its producer's transaction.
    pub fn set_transactional(&mut self) {
        self.attributes |= attributes::TRANSACTIONAL;
    }

    /// Makes the records markers of the log itself.
    pub fn set_control(&mut self) {
        self.attributes |= attributes::CONTROL;
    }

    /// At most so many bytes one more record takes, before compression.
    pub fn record_size(
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> usize {
        MAX_OVERHEAD + length(key) + length(value) + headers_size(headers)
    }

    /// Bytes so far, the header included, before compression.
    pub const fn len(&self) -> usize {
        self.buffer.len()
    }

    /// How many records there are.
    pub const fn count(&self) -> i32 {
        self.count
    }

    /// Whether there is no record.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a record and gives its index in the batch.
    #[inline]
    pub fn append(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> i32 {
        let index = self.count;
        if index == 0 {
            self.base_timestamp = timestamp;
        }
        let delta = timestamp.wrapping_sub(self.base_timestamp);
        let body = body_size(delta, index, key, value, headers);
        self.buffer.reserve(body + MAX_VARINT);

        let (mut start, mut at) = ([0; 40], 0);
        varint::put(&mut start, &mut at, body as i64);
        at += 1; // attributes: no bit is in use
        varint::put(&mut start, &mut at, delta);
        varint::put(&mut start, &mut at, index.into());
        varint::put(&mut start, &mut at, key.map_or(-1, |key| key.len() as i64));
        self.buffer.extend_from_slice(&start[..at]);
        self.buffer.extend_from_slice(key.unwrap_or_default());
        varint::write(&mut self.buffer, value.map_or(-1, |value| value.len() as i64));
        self.buffer.extend_from_slice(value.unwrap_or_default());
        self.append_headers(headers);

        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.count += 1;
        index
    }

    #[inline]
    fn append_headers(&mut self, headers: &[(&str, Option<&[u8]>)]) {
        varint::write(&mut self.buffer, headers.len() as i64);
        for (key, value) in headers {
            varint::write(&mut self.buffer, key.len() as i64);
            self.buffer.extend_from_slice(key.as_bytes());
            varint::write(&mut self.buffer, value.map_or(-1, |value| value.len() as i64));
            self.buffer.extend_from_slice(value.unwrap_or_default());
        }
    }

    /// Ends the batch: compresses it and writes header and checksum. It begins at offset 0
    /// with leader epoch -1; [`stamp`](super::stamp) writes the true ones.
    ///
    /// The error is that of a batch beyond 2 GiB, or of a codec that refuses its work.
    pub fn finish(mut self) -> Result<Vec<u8>, Corruption> {
        let mut batch = match self.compression {
            Compression::None => std::mem::take(&mut self.buffer),
            codec => self.compressed(codec)?,
        };
        let length = batch.len() - LOG_OVERHEAD;
        let length = i32::try_from(length).map_err(|_| Corruption::Length(length as i64))?;
        self.put_header(&mut batch, length);
        Ok(batch)
    }

    /// Gives up the batch for its buffer, to be used again.
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    fn compressed(&self, codec: Compression) -> Result<Vec<u8>, Corruption> {
        let records = &self.buffer[v2::RECORDS..];
        let mut batch = Vec::with_capacity(v2::RECORDS + records.len() / 2);
        batch.resize(v2::RECORDS, 0);
        codec::compress(codec, self.level, records, &mut batch)?;
        Ok(batch)
    }

    fn put_header(&self, batch: &mut [u8], length: i32) {
        put(batch, fields::OFFSET, 0_i64.to_be_bytes());
        put(batch, LENGTH, length.to_be_bytes());
        put(batch, v2::LEADER_EPOCH, (-1_i32).to_be_bytes());
        put(batch, MAGIC, 2_i8.to_be_bytes());
        put(batch, v2::ATTRIBUTES, i16::from(self.attributes).to_be_bytes());
        put(batch, v2::LAST_OFFSET_DELTA, (self.count - 1).max(0).to_be_bytes());
        put(batch, v2::BASE_TIMESTAMP, self.base_timestamp.to_be_bytes());
        put(batch, v2::MAX_TIMESTAMP, self.max_timestamp.to_be_bytes());
        put(batch, v2::PRODUCER_ID, self.producer_id.to_be_bytes());
        put(batch, v2::PRODUCER_EPOCH, self.producer_epoch.to_be_bytes());
        put(batch, v2::BASE_SEQUENCE, self.base_sequence.to_be_bytes());
        put(batch, v2::RECORDS_COUNT, self.count.to_be_bytes());
        put_crc(batch);
    }
}

#[inline]
fn body_size(
    timestamp_delta: i64,
    index: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(&str, Option<&[u8]>)],
) -> usize {
    let key_size = varint::size(key.map_or(-1, |key| key.len() as i64)) + length(key);
    let value_size = varint::size(value.map_or(-1, |value| value.len() as i64)) + length(value);
    1 + varint::size(timestamp_delta)
        + varint::size(index.into())
        + key_size
        + value_size
        + varint::size(headers.len() as i64)
        + headers_size(headers)
}

fn headers_size(headers: &[(&str, Option<&[u8]>)]) -> usize {
    headers
        .iter()
        .map(|(key, value)| {
            varint::size(key.len() as i64)
                + key.len()
                + varint::size(value.map_or(-1, |value| value.len() as i64))
                + length(*value)
        })
        .sum()
}

fn length(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Batch, BatchInfo, verify};

    #[test]
    fn a_batch_of_one_record_has_the_bytes_kafka_would_write() {
        let mut builder = BatchBuilder::new(Compression::None, None);
        builder.append(1_000, Some(b"k"), None, &[("h", Some(b"v"))]);

        let batch = builder.finish().unwrap();

        let records = [0x16, 0, 0, 0, 2, b'k', 1, 2, 2, b'h', 2, b'v'];
        assert_eq!(batch[61..], records);
        assert_eq!(batch[..12], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 61]);
    }

    #[test]
    fn what_was_appended_is_read() {
        let mut builder = BatchBuilder::new(Compression::None, None);
        builder.append(7, Some(b"key"), Some(b"value"), &[]);
        builder.append(5, None, None, &[("a", None), ("a", Some(b""))]);
        let batch = builder.finish().unwrap();
        let info: BatchInfo = verify(&batch).unwrap();

        let batch = Batch::decode(batch.into(), usize::MAX).unwrap();
        let records = batch.records().collect::<Result<Vec<_>, _>>().unwrap();

        assert_eq!((info.base_timestamp, info.max_timestamp, info.last_offset), (7, 7, 1));
        assert_eq!((records[0].offset, records[0].timestamp), (0, 7));
        assert_eq!((records[0].key, records[0].value), (Some(&b"key"[..]), Some(&b"value"[..])));
        assert_eq!((records[1].offset, records[1].timestamp), (1, 5));
        let headers: Vec<_> = records[1].headers.iter().collect();
        assert_eq!(headers, [("a", None), ("a", Some(&b""[..]))]);
    }
}
