//! A batch in the making: records are encoded straight into the bytes that will be written.

use super::codec;
use super::fields::{self, LENGTH, LOG_OVERHEAD, MAGIC, attributes, put, v2};
use super::info::{BatchInfo, put_crc};
use super::records::Record;
use super::varint::{self, MAX_VARINT, MAX_VARLONG};
use crate::error::Corruption;
use crate::types::{Compression, NO_TIMESTAMP, Timestamp, TimestampType};

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
    /// What the records' timestamps count from; that of the first record if not set before.
    base_timestamp: Option<Timestamp>,
    max_timestamp: Timestamp,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    attributes: u8,
    base_offset: i64,
    leader_epoch: i32,
    /// Of a batch that keeps its offsets although records went.
    last_offset_delta: Option<i32>,
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
            base_timestamp: None,
            max_timestamp: NO_TIMESTAMP,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            attributes: compression as u8,
            base_offset: 0,
            leader_epoch: -1,
            last_offset_delta: None,
        }
    }

    /// An empty batch that takes in what compaction leaves of the batch of `info`: its edges,
    /// leader epoch, producer, codec and kind stay. In magic 0 and 1 it begins at `base_offset`,
    /// for these do not say.
    ///
    /// `delete_horizon` is the time at which its tombstones may go (KIP-534).
    pub fn retaining(
        info: &BatchInfo,
        base_offset: i64,
        delete_horizon: Option<Timestamp>,
    ) -> Self {
        let base_offset = if info.magic == 2 { info.base_offset } else { base_offset };
        let by_log = info.timestamp_type == TimestampType::LogAppendTime;
        let flags = [
            (by_log, attributes::LOG_APPEND_TIME),
            (info.is_transactional, attributes::TRANSACTIONAL),
            (info.is_control, attributes::CONTROL),
            (delete_horizon.is_some(), attributes::DELETE_HORIZON),
        ];
        let flags = flags.into_iter().filter(|(on, _)| *on).fold(0, |all, (_, flag)| all | flag);
        Self {
            base_timestamp: delete_horizon,
            max_timestamp: if by_log { info.max_timestamp } else { NO_TIMESTAMP },
            producer_id: info.producer_id,
            producer_epoch: info.producer_epoch,
            base_sequence: info.base_sequence,
            attributes: info.compression as u8 | flags,
            base_offset,
            leader_epoch: info.leader_epoch,
            last_offset_delta: info
                .last_offset
                .checked_sub(base_offset)
                .and_then(|delta| i32::try_from(delta).ok()),
            ..Self::new(info.compression, None)
        }
    }

    /// A whole batch without records, which keeps the edges and the producer of the batch of
    /// `info`, and its youngest timestamp.
    pub fn emptied(info: &BatchInfo) -> Vec<u8> {
        let uncompressed = BatchInfo { compression: Compression::None, ..*info };
        let mut empty = Self::retaining(&uncompressed, info.base_offset, None);
        empty.max_timestamp = info.max_timestamp;
        let mut batch = std::mem::take(&mut empty.buffer);
        empty.put_header(&mut batch, (v2::RECORDS - LOG_OVERHEAD) as i32);
        batch
    }

    /// Adds a record at its own offset, which must lie between the edges of the batch and behind
    /// the records before.
    pub fn retain(&mut self, record: &Record<'_>) {
        let headers: Vec<_> = record.headers.iter().collect();
        let delta = record.offset.wrapping_sub(self.base_offset) as i32;
        self.append_at(delta, record.timestamp, record.key, record.value, &headers);
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
        self.append_at(index, timestamp, key, value, headers);
        index
    }

    #[inline]
    fn append_at(
        &mut self,
        offset_delta: i32,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) {
        let base_timestamp = *self.base_timestamp.get_or_insert(timestamp);
        let delta = timestamp.wrapping_sub(base_timestamp);
        let body = body_size(delta, offset_delta, key, value, headers);
        self.buffer.reserve(body + MAX_VARINT);

        let (mut start, mut at) = ([0; 40], 0);
        varint::put(&mut start, &mut at, body as i64);
        at += 1; // attributes: no bit is in use
        varint::put(&mut start, &mut at, delta);
        varint::put(&mut start, &mut at, offset_delta.into());
        varint::put(&mut start, &mut at, key.map_or(-1, |key| key.len() as i64));
        self.buffer.extend_from_slice(&start[..at]);
        self.buffer.extend_from_slice(key.unwrap_or_default());
        varint::write(&mut self.buffer, value.map_or(-1, |value| value.len() as i64));
        self.buffer.extend_from_slice(value.unwrap_or_default());
        self.append_headers(headers);

        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.count += 1;
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

    /// Ends the batch: compresses it and writes header and checksum. Unless it
    /// [retains](Self::retaining) what is left of another, it begins at offset 0 with leader
    /// epoch -1; [`stamp`](super::stamp) writes the true ones.
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
        let last_offset_delta = self.last_offset_delta.unwrap_or((self.count - 1).max(0));
        put(batch, fields::OFFSET, self.base_offset.to_be_bytes());
        put(batch, LENGTH, length.to_be_bytes());
        put(batch, v2::LEADER_EPOCH, self.leader_epoch.to_be_bytes());
        put(batch, MAGIC, 2_i8.to_be_bytes());
        put(batch, v2::ATTRIBUTES, i16::from(self.attributes).to_be_bytes());
        put(batch, v2::LAST_OFFSET_DELTA, last_offset_delta.to_be_bytes());
        let base_timestamp = self.base_timestamp.unwrap_or(NO_TIMESTAMP);
        put(batch, v2::BASE_TIMESTAMP, base_timestamp.to_be_bytes());
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
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(&str, Option<&[u8]>)],
) -> usize {
    let key_size = varint::size(key.map_or(-1, |key| key.len() as i64)) + length(key);
    let value_size = varint::size(value.map_or(-1, |value| value.len() as i64)) + length(value);
    1 + varint::size(timestamp_delta)
        + varint::size(offset_delta.into())
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

    /// Three records of a transaction, at offsets 100 to 102.
    fn original(codec: Compression) -> Batch {
        let mut builder = BatchBuilder::new(codec, None);
        builder.set_producer(7, 3, 40);
        builder.set_transactional();
        builder.append(50, Some(b"a"), Some(b"1"), &[("h", Some(b"v"))]);
        builder.append(40, Some(b"b"), None, &[]);
        builder.append(60, Some(b"a"), Some(b"2"), &[("h", None)]);
        let mut bytes = builder.finish().unwrap();
        crate::record::stamp(&mut bytes, 100, 5);
        Batch::decode(bytes.into(), usize::MAX).unwrap()
    }

    #[test]
    fn records_that_are_retained_stay_what_and_where_they_were() {
        for codec in [Compression::None, Compression::Lz4] {
            for horizon in [None, Some(99)] {
                let original = original(codec);
                let kept: Vec<_> = original.records().map(Result::unwrap).skip(1).collect();

                let mut builder = BatchBuilder::retaining(original.info(), 0, horizon);
                for record in &kept {
                    builder.retain(record);
                }
                let bytes = builder.finish().unwrap();

                let info = verify(&bytes).unwrap();
                let expected = BatchInfo {
                    size: bytes.len(),
                    crc: info.crc,
                    base_timestamp: horizon.unwrap_or(40),
                    has_delete_horizon: horizon.is_some(),
                    records_count: Some(2),
                    ..*original.info()
                };
                assert_eq!(info, expected);
                let left = Batch::decode(bytes.into(), usize::MAX).unwrap();
                assert_eq!(left.records().map(Result::unwrap).collect::<Vec<_>>(), kept);
            }
        }
    }

    #[test]
    fn an_emptied_batch_keeps_its_edges_and_its_producer() {
        let original = original(Compression::Zstd);

        let bytes = BatchBuilder::emptied(original.info());

        let info = verify(&bytes).unwrap();
        let expected = BatchInfo {
            size: 61,
            crc: info.crc,
            compression: Compression::None,
            base_timestamp: -1,
            records_count: Some(0),
            ..*original.info()
        };
        assert_eq!(info, expected);
    }
}
