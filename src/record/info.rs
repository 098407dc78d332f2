//! What a batch says about itself, and what the log writes into it.

use super::fields::{self, LENGTH, LOG_OVERHEAD, MAGIC, attributes, get, legacy, put, v2};
use crate::error::Corruption;
use crate::types::{Compression, NO_TIMESTAMP, Timestamp, TimestampType};

/// The facts in the header of a batch of any magic; nothing behind the header was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    /// The first record's offset; in magic 0 and 1 the offset field, which is the *last* one
    /// of a compressed set.
    pub base_offset: i64,
    /// The last record's offset; compaction may have removed that record.
    pub last_offset: i64,
    /// Bytes of the whole batch, offset and length included.
    pub size: usize,
    /// The format: 0, 1 or 2.
    pub magic: i8,
    /// The leader epoch; -1 in magic 0 and 1.
    pub leader_epoch: i32,
    /// The stored checksum.
    pub crc: u32,
    /// How the records are compressed.
    pub compression: Compression,
    /// Who set the timestamps; in magic 0 there are none.
    pub timestamp_type: TimestampType,
    /// Whether the records belong to a transaction.
    pub is_transactional: bool,
    /// Whether the records are markers of the log itself, not data.
    pub is_control: bool,
    /// Whether `base_timestamp` is the time at which tombstones may go (KIP-534).
    pub has_delete_horizon: bool,
    /// What the records' timestamps count from.
    pub base_timestamp: Timestamp,
    /// The largest timestamp, or the time of the append.
    pub max_timestamp: Timestamp,
    /// The idempotent producer's id, or -1.
    pub producer_id: i64,
    /// The idempotent producer's epoch, or -1.
    pub producer_epoch: i16,
    /// The first record's sequence number, or -1.
    pub base_sequence: i32,
    /// How many records the header counts; magic 0 and 1 do not say.
    pub records_count: Option<i32>,
}

impl BatchInfo {
    /// No header is longer.
    pub const MAX_PREFIX: usize = v2::RECORDS;

    /// Reads the header at the start of `prefix`: [`MAX_PREFIX`](Self::MAX_PREFIX) bytes, or
    /// fewer at the end of a file.
    ///
    /// After `Ok` the size is one the magic allows; nothing else is promised, least of all
    /// the checksum.
    pub fn parse(prefix: &[u8]) -> Result<Self, Corruption> {
        need(prefix, MAGIC + 1)?;
        let length = i32::from_be_bytes(get(prefix, LENGTH));
        match prefix[MAGIC] as i8 {
            0 => Self::parse_legacy(prefix, size(length, legacy::MIN_V0)?, 0),
            1 => Self::parse_legacy(prefix, size(length, legacy::MIN_V1)?, 1),
            2 => Self::parse_v2(prefix, size(length, v2::RECORDS)?),
            magic => Err(Corruption::Magic(magic)),
        }
    }

    /// The offset behind the batch.
    pub const fn next_offset(&self) -> i64 {
        self.last_offset.saturating_add(1)
    }

    /// Whether the time is over for which tombstones and markers of the batch are kept.
    pub(crate) const fn is_past_horizon(&self, now: Timestamp) -> bool {
        self.has_delete_horizon && self.base_timestamp <= now
    }

    fn parse_v2(prefix: &[u8], size: usize) -> Result<Self, Corruption> {
        need(prefix, v2::RECORDS)?;
        let bits = prefix[v2::ATTRIBUTES + 1];
        let base_offset = i64::from_be_bytes(get(prefix, fields::OFFSET));
        let delta = i32::from_be_bytes(get(prefix, v2::LAST_OFFSET_DELTA));
        Ok(Self {
            base_offset,
            last_offset: last_offset(base_offset, delta)?,
            size,
            magic: 2,
            leader_epoch: i32::from_be_bytes(get(prefix, v2::LEADER_EPOCH)),
            crc: u32::from_be_bytes(get(prefix, v2::CRC)),
            compression: compression(bits)?,
            timestamp_type: timestamp_type(bits),
            is_transactional: bits & attributes::TRANSACTIONAL != 0,
            is_control: bits & attributes::CONTROL != 0,
            has_delete_horizon: bits & attributes::DELETE_HORIZON != 0,
            base_timestamp: i64::from_be_bytes(get(prefix, v2::BASE_TIMESTAMP)),
            max_timestamp: i64::from_be_bytes(get(prefix, v2::MAX_TIMESTAMP)),
            producer_id: i64::from_be_bytes(get(prefix, v2::PRODUCER_ID)),
            producer_epoch: i16::from_be_bytes(get(prefix, v2::PRODUCER_EPOCH)),
            base_sequence: i32::from_be_bytes(get(prefix, v2::BASE_SEQUENCE)),
            records_count: Some(i32::from_be_bytes(get(prefix, v2::RECORDS_COUNT))),
        })
    }

    fn parse_legacy(prefix: &[u8], size: usize, magic: i8) -> Result<Self, Corruption> {
        need(prefix, if magic == 0 { legacy::KEY_V0 } else { legacy::KEY_V1 })?;
        let bits = prefix[legacy::ATTRIBUTES];
        let offset = i64::from_be_bytes(get(prefix, fields::OFFSET));
        let timestamp = match magic {
            0 => NO_TIMESTAMP,
            _ => i64::from_be_bytes(get(prefix, legacy::TIMESTAMP)),
        };
        Ok(Self {
            base_offset: offset,
            last_offset: offset,
            size,
            magic,
            leader_epoch: -1,
            crc: u32::from_be_bytes(get(prefix, legacy::CRC)),
            compression: compression(bits)?,
            timestamp_type: if magic == 0 {
                TimestampType::CreateTime
            } else {
                timestamp_type(bits)
            },
            is_transactional: false,
            is_control: false,
            has_delete_horizon: false,
            base_timestamp: timestamp,
            max_timestamp: timestamp,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            records_count: None,
        })
    }
}

/// Checks that `bytes` are exactly one batch whose checksum fits, and gives its facts.
///
/// In magic 2 the checksum leaves out the base offset and the leader epoch, in magic 0 and 1
/// the offset: a flipped bit there goes unnoticed.
pub fn verify(bytes: &[u8]) -> Result<BatchInfo, Corruption> {
    let info = whole(bytes)?;
    let computed = match info.magic {
        2 => crc32c::crc32c(&bytes[v2::ATTRIBUTES..]),
        _ => crc32(&bytes[MAGIC..]),
    };
    if computed == info.crc {
        Ok(info)
    } else {
        Err(Corruption::Checksum { stored: info.crc, computed })
    }
}

/// Writes where the batch stands in the log; neither field is covered by the checksum.
///
/// # Panics
///
/// If `batch` is shorter than the header of a v2 batch.
pub fn stamp(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    put(batch, fields::OFFSET, base_offset.to_be_bytes());
    put(batch, v2::LEADER_EPOCH, leader_epoch.to_be_bytes());
}

/// Gives every record of a v2 batch the time `now` of its append, and corrects the checksum.
///
/// # Panics
///
/// If `batch` is shorter than the header of a v2 batch.
pub fn set_log_append_time(batch: &mut [u8], now: Timestamp) {
    batch[v2::ATTRIBUTES + 1] |= attributes::LOG_APPEND_TIME;
    put(batch, v2::MAX_TIMESTAMP, now.to_be_bytes());
    put_crc(batch);
}

/// Computes the checksum of a v2 batch and writes it.
pub(crate) fn put_crc(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[v2::ATTRIBUTES..]);
    put(batch, v2::CRC, crc.to_be_bytes());
}

/// The facts of `bytes`, which must be exactly one batch.
pub(crate) fn whole(bytes: &[u8]) -> Result<BatchInfo, Corruption> {
    let info = BatchInfo::parse(bytes)?;
    need(bytes, info.size)?;
    if bytes.len() > info.size {
        return Err(Corruption::Length(info.size as i64 - LOG_OVERHEAD as i64));
    }
    Ok(info)
}

/// CRC-32, the checksum of magic 0 and 1.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

pub(crate) fn need(bytes: &[u8], need: usize) -> Result<(), Corruption> {
    match bytes.len() {
        have if have < need => Err(Corruption::Truncated { have, need }),
        _ => Ok(()),
    }
}

/// The whole size by the length field, which must reach at least `min` bytes.
fn size(length: i32, min: usize) -> Result<usize, Corruption> {
    usize::try_from(length)
        .ok()
        .map(|length| length + LOG_OVERHEAD)
        .filter(|&size| size >= min)
        .ok_or(Corruption::Length(length.into()))
}

fn last_offset(base_offset: i64, delta: i32) -> Result<i64, Corruption> {
    if delta < 0 {
        return Err(Corruption::Field("last offset delta"));
    }
    base_offset.checked_add(delta.into()).ok_or(Corruption::Field("base offset"))
}

pub(crate) fn compression(bits: u8) -> Result<Compression, Corruption> {
    let id = bits & attributes::COMPRESSION;
    Compression::from_id(id).ok_or(Corruption::Codec(id))
}

fn timestamp_type(bits: u8) -> TimestampType {
    match bits & attributes::LOG_APPEND_TIME {
        0 => TimestampType::CreateTime,
        _ => TimestampType::LogAppendTime,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch of no record, as compaction leaves it: every field has its own value.
    fn batch() -> Vec<u8> {
        let mut batch = vec![0, 0, 0, 0, 0, 0, 1, 2]; // base offset
        batch.extend([0, 0, 0, 49]); // length
        batch.extend([0, 0, 0, 5]); // leader epoch
        batch.push(2); // magic
        batch.extend([0, 0, 0, 0]); // checksum
        batch.extend([0, 0x7c]); // attributes: zstd and every flag
        batch.extend([0, 0, 0, 9]); // last offset delta
        batch.extend([0, 0, 0, 0, 0, 0, 0, 3]); // base timestamp
        batch.extend([0, 0, 0, 0, 0, 0, 0, 4]); // max timestamp
        batch.extend([0, 0, 0, 0, 0, 0, 0, 6]); // producer id
        batch.extend([0, 7]); // producer epoch
        batch.extend([0, 0, 0, 8]); // base sequence
        batch.extend([0, 0, 0, 0]); // records count
        put_crc(&mut batch);
        batch
    }

    #[test]
    fn every_field_is_read_from_its_place() {
        let batch = batch();

        let info = verify(&batch).unwrap();

        let expected = BatchInfo {
            base_offset: 0x102,
            last_offset: 0x10b,
            size: 61,
            magic: 2,
            leader_epoch: 5,
            crc: u32::from_be_bytes(get(&batch, v2::CRC)),
            compression: Compression::Zstd,
            timestamp_type: TimestampType::LogAppendTime,
            is_transactional: true,
            is_control: true,
            has_delete_horizon: true,
            base_timestamp: 3,
            max_timestamp: 4,
            producer_id: 6,
            producer_epoch: 7,
            base_sequence: 8,
            records_count: Some(0),
        };
        assert_eq!(info, expected);
        assert_eq!(info.next_offset(), 0x10c);
    }

    #[test]
    fn a_header_cut_short_says_how_much_it_needs() {
        let batch = batch();
        for have in 0..61 {
            let need = if have < 17 { 17 } else { 61 };
            let truncated = Corruption::Truncated { have, need };

            assert_eq!(BatchInfo::parse(&batch[..have]), Err(truncated));
        }
    }

    #[test]
    fn a_length_that_no_batch_has_is_refused() {
        for (magic, shortest) in [(0, 14), (1, 22), (2, 49)] {
            let mut batch = batch();
            batch[MAGIC] = magic;
            for length in [i32::MIN, -1, 0, shortest - 1] {
                put(&mut batch, LENGTH, length.to_be_bytes());

                assert_eq!(BatchInfo::parse(&batch), Err(Corruption::Length(length.into())));
            }
            put(&mut batch, LENGTH, shortest.to_be_bytes());
            assert_eq!(BatchInfo::parse(&batch).map(|info| info.size), Ok(shortest as usize + 12));
            put(&mut batch, LENGTH, i32::MAX.to_be_bytes());
            assert!(BatchInfo::parse(&batch).is_ok());
        }
    }

    #[test]
    fn what_kafka_does_not_have_is_refused() {
        for (at, byte, error) in [
            (MAGIC, 3, Corruption::Magic(3)),
            (MAGIC, 0xff, Corruption::Magic(-1)),
            (v2::ATTRIBUTES + 1, 5, Corruption::Codec(5)),
            (v2::LAST_OFFSET_DELTA, 0xff, Corruption::Field("last offset delta")),
        ] {
            let mut batch = batch();
            batch[at] = byte;

            assert_eq!(BatchInfo::parse(&batch), Err(error));
        }
    }

    #[test]
    fn an_offset_beyond_the_largest_is_refused() {
        let mut batch = batch();
        stamp(&mut batch, i64::MAX, 0);

        assert_eq!(BatchInfo::parse(&batch), Err(Corruption::Field("base offset")));
    }

    #[test]
    fn a_stamp_changes_only_what_it_names_and_keeps_the_checksum() {
        let mut batch = batch();
        let before = verify(&batch).unwrap();

        stamp(&mut batch, 77, 3);

        let expected = BatchInfo { base_offset: 77, last_offset: 86, leader_epoch: 3, ..before };
        assert_eq!(verify(&batch), Ok(expected));
    }

    #[test]
    fn the_time_of_the_append_comes_with_a_new_checksum() {
        let mut batch = batch();
        batch[v2::ATTRIBUTES + 1] = 0;
        put_crc(&mut batch);

        set_log_append_time(&mut batch, 99);

        let info = verify(&batch).unwrap();
        assert_eq!((info.timestamp_type, info.max_timestamp), (TimestampType::LogAppendTime, 99));
    }
}
