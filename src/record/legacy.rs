//! The message sets of brokers before 0.11: magic 0 and 1, read only.
//!
//! Every message stands in the log as a batch of one, unless it is compressed: then its value
//! is a message set, which counts as the batch. In magic 0 the offsets inside are absolute; in
//! magic 1 they count from the first, and the outer offset is that of the last.

use bytes::Bytes;

use super::batch::Contents;
use super::codec;
use super::fields::{attributes, legacy};
use super::headers::Headers;
use super::info::{BatchInfo, need};
use super::lz4::{self, HeaderChecksum};
use super::records::{Base, Format, Record};
use crate::error::Corruption;
use crate::planted::planted;
use crate::types::{Compression, NO_TIMESTAMP, TimestampType};

/// Opens the batch of magic 0 or 1 in `bytes`; every message in it is checked.
pub(crate) fn open(info: &BatchInfo, bytes: Bytes, limit: usize) -> Result<Contents, Corruption> {
    match info.compression {
        Compression::None => {
            let base = base(info);
            walk(&bytes)?;
            Ok(Contents { data: bytes, start: 0, count: 1, base })
        }
        // Kafka has zstd in magic 2 only.
        Compression::Zstd => Err(Corruption::Codec(info.compression as u8)),
        _ => open_set(info, &bytes, limit),
    }
}

fn open_set(info: &BatchInfo, bytes: &[u8], limit: usize) -> Result<Contents, Corruption> {
    let mut rest = bytes;
    let wrapper = Message::parse(&mut rest)?;
    let value = wrapper.value.ok_or(Corruption::Field("value of a compressed message set"))?;
    let data: Bytes = decompress(info, value, limit)?.into();
    let (count, last) = walk(&data)?;
    let offset = first_offset(info, last)?;
    Ok(Contents { data, start: 0, count, base: Base { offset, ..base(info) } })
}

fn decompress(info: &BatchInfo, value: &[u8], limit: usize) -> Result<Vec<u8>, Corruption> {
    match (info.magic, info.compression) {
        (0, Compression::Lz4) => lz4::decompress(value, limit, HeaderChecksum::Ignored),
        (_, codec) => codec::decompress(codec, value, limit),
    }
}

/// What the offsets inside count from, by the last one inside.
fn first_offset(info: &BatchInfo, last: i64) -> Result<i64, Corruption> {
    match info.base_offset {
        // Some versions of librdkafka leave the outer offset at 0.
        0 => Ok(0),
        _ if info.magic == 0 || planted("count-from-zero") => Ok(0),
        outer if outer < last => Err(Corruption::Offset { expected: last, found: outer }),
        outer => Ok(outer.wrapping_sub(last)),
    }
}

fn base(info: &BatchInfo) -> Base {
    Base {
        format: Format::Legacy,
        offset: 0,
        timestamp: NO_TIMESTAMP,
        log_append_time: match info.timestamp_type {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(info.max_timestamp),
        },
    }
}

/// Checks every message of a set; gives how many there are and the last one's offset.
fn walk(mut set: &[u8]) -> Result<(usize, i64), Corruption> {
    let (mut count, mut last) = (0, 0);
    while !set.is_empty() {
        last = Message::parse(&mut set)?.checked()?.offset;
        count += 1;
    }
    match count {
        0 => Err(Corruption::Field("empty message set")),
        _ => Ok((count, last)),
    }
}

/// One message of magic 0 or 1.
struct Message<'a> {
    offset: i64,
    magic: i8,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    compressed: bool,
}

impl<'a> Message<'a> {
    /// Takes one message off the front of `bytes`.
    fn parse(bytes: &mut &'a [u8]) -> Result<Self, Corruption> {
        let info = BatchInfo::parse(bytes)?;
        if info.magic > 1 {
            return Err(Corruption::Magic(info.magic));
        }
        need(bytes, info.size)?;
        let (message, rest) = bytes.split_at(info.size);
        *bytes = rest;
        let mut fields = &message[if info.magic == 0 { legacy::KEY_V0 } else { legacy::KEY_V1 }..];
        let (key, value) = (field(&mut fields)?, field(&mut fields)?);
        if !fields.is_empty() {
            return Err(Corruption::Length(fields.len() as i64));
        }
        Ok(Self {
            offset: info.base_offset,
            magic: info.magic,
            timestamp: info.base_timestamp,
            key,
            value,
            compressed: message[legacy::ATTRIBUTES] & attributes::COMPRESSION != 0,
        })
    }

    /// Refuses a compressed message inside a compressed one.
    fn checked(self) -> Result<Self, Corruption> {
        if self.compressed {
            Err(Corruption::Field("compression within compression"))
        } else {
            Ok(self)
        }
    }
}

/// Takes the next message of a set off the front of `bytes`, as a record.
pub(crate) fn record<'a>(bytes: &mut &'a [u8], base: &Base) -> Result<Record<'a>, Corruption> {
    let message = Message::parse(bytes)?;
    let timestamp = match message.magic {
        0 => NO_TIMESTAMP,
        _ => base.log_append_time.unwrap_or(message.timestamp),
    };
    Ok(Record {
        offset: base.offset.wrapping_add(message.offset),
        timestamp,
        key: message.key,
        value: message.value,
        headers: Headers::default(),
    })
}

/// Takes an `i32` length and that many bytes; a negative length is null.
fn field<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Corruption> {
    let have = bytes.len();
    let (length, rest) =
        bytes.split_first_chunk().ok_or(Corruption::Truncated { have, need: 4 })?;
    let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
        *bytes = rest;
        return Ok(None);
    };
    let (field, rest) = rest
        .split_at_checked(length)
        .ok_or(Corruption::Truncated { have: rest.len(), need: length })?;
    *bytes = rest;
    Ok(Some(field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fields::{LENGTH, put};
    use crate::record::info::crc32;
    use crate::record::{Batch, verify};

    /// A message with the codec and the bits of `attributes`; a timestamp makes it magic 1.
    fn message(offset: i64, attributes: u8, timestamp: Option<i64>, value: &[u8]) -> Vec<u8> {
        let mut out = [&offset.to_be_bytes()[..], &[0; 8]].concat();
        out.extend([u8::from(timestamp.is_some()), attributes]);
        out.extend(timestamp.map_or(Vec::new(), |time| time.to_be_bytes().to_vec()));
        out.extend((-1_i32).to_be_bytes());
        out.extend((value.len() as i32).to_be_bytes());
        out.extend_from_slice(value);
        finish(out)
    }

    fn finish(mut message: Vec<u8>) -> Vec<u8> {
        let (length, crc) = (message.len() as i32 - 12, crc32(&message[16..]));
        put(&mut message, LENGTH, length.to_be_bytes());
        put(&mut message, legacy::CRC, crc.to_be_bytes());
        message
    }

    fn gzipped(inner: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        codec::compress(Compression::Gzip, None, &inner.concat(), &mut out).unwrap();
        out
    }

    /// Offset, timestamp and value of each record.
    fn read(bytes: Vec<u8>) -> Result<Vec<(i64, i64, Vec<u8>)>, Corruption> {
        verify(&bytes)?;
        let batch = Batch::decode(bytes.into(), 1 << 20)?;
        batch
            .records()
            .map(|record| record.map(|it| (it.offset, it.timestamp, it.value.unwrap().to_vec())))
            .collect()
    }

    #[test]
    fn a_message_of_magic_0_is_read_byte_by_byte() {
        let bytes = [
            &[0, 0, 0, 0, 0, 0, 0, 42][..], // offset
            &[0, 0, 0, 16],                 // length
            &[0x1f, 0xec, 0xd7, 0x0a],      // CRC-32 of what follows, by Python's zlib
            &[0, 0],                        // magic, attributes
            &[0, 0, 0, 1, b'k'],            // key
            &[0, 0, 0, 1, b'v'],            // value
        ]
        .concat();

        verify(&bytes).unwrap();
        let batch = Batch::decode(bytes.into(), 0).unwrap();
        let record = batch.records().next().unwrap().unwrap();

        assert_eq!((record.offset, record.timestamp), (42, -1));
        assert_eq!((record.key, record.value), (Some(&b"k"[..]), Some(&b"v"[..])));
        assert_eq!((batch.count(), record.headers.len()), (1, 0));
    }

    #[test]
    fn offsets_within_magic_0_are_absolute() {
        let inner = [message(7, 0, None, b"a"), message(9, 0, None, b"b")];
        for outer in [8, 9, 12] {
            let set = message(outer, 1, None, &gzipped(&inner));

            assert_eq!(read(set).unwrap(), [(7, -1, b"a".to_vec()), (9, -1, b"b".to_vec())]);
        }
    }

    #[test]
    fn offsets_within_magic_1_end_at_the_outer_one() {
        // The second was compacted away.
        let inner = [message(0, 0, Some(5), b"a"), message(2, 0, Some(4), b"b")];
        let set = message(102, 1, Some(5), &gzipped(&inner));

        assert_eq!(read(set).unwrap(), [(100, 5, b"a".to_vec()), (102, 4, b"b".to_vec())]);
    }

    #[test]
    fn an_outer_offset_of_zero_leaves_the_inner_ones_as_they_are() {
        let inner = [message(0, 0, Some(5), b"a"), message(1, 0, Some(6), b"b")];
        let set = message(0, 1, Some(6), &gzipped(&inner));

        assert_eq!(read(set).unwrap(), [(0, 5, b"a".to_vec()), (1, 6, b"b".to_vec())]);
    }

    #[test]
    fn an_outer_offset_below_the_last_inner_one_is_an_error() {
        let inner = [message(0, 0, Some(5), b"a"), message(9, 0, Some(6), b"b")];
        let set = message(8, 1, Some(6), &gzipped(&inner));

        assert_eq!(read(set), Err(Corruption::Offset { expected: 9, found: 8 }));
    }

    #[test]
    fn the_time_of_the_append_hides_the_inner_timestamps() {
        let inner = [message(0, 0, Some(5), b"a"), message(1, 0, Some(6), b"b")];
        let set = message(1, 1 | 8, Some(99), &gzipped(&inner));

        assert_eq!(read(set).unwrap(), [(0, 99, b"a".to_vec()), (1, 99, b"b".to_vec())]);
        assert_eq!(read(message(3, 8, Some(77), b"c")).unwrap(), [(3, 77, b"c".to_vec())]);
    }

    #[test]
    fn what_no_message_set_may_hold_is_an_error() {
        let nested = message(0, 1, Some(1), &gzipped(&[message(0, 0, Some(1), b"a")]));
        let mut v2 = message(0, 0, Some(1), &[0; 60]);
        v2[16] = 2;
        for (inner, error) in [
            (Vec::new(), Corruption::Field("empty message set")),
            (nested, Corruption::Field("compression within compression")),
            (finish(v2), Corruption::Magic(2)),
        ] {
            assert_eq!(read(message(5, 1, Some(1), &gzipped(&[inner]))), Err(error));
        }
        assert_eq!(read(message(5, 4, Some(1), b"zstd")), Err(Corruption::Codec(4)));
        let mut null = message(5, 1, Some(1), b"");
        put(&mut null, legacy::KEY_V1 + 4, (-1_i32).to_be_bytes());
        let null = read(finish(null));
        assert_eq!(null, Err(Corruption::Field("value of a compressed message set")));
    }
}
