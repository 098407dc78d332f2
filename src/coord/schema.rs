//! Keys and values of `__consumer_offsets`, as Kafka's message definitions describe them
//! (`OffsetCommitKey`, `OffsetCommitValue`).
//!
//! Strings are a length `i16` and UTF-8; from version 4 on values are *flexible*: a length is an
//! unsigned varint, plus one, and tagged fields stand at the end.

use crate::types::{OffsetAndMetadata, Timestamp, TopicPartition};

/// Whose offset a record commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitKey {
    pub(crate) group: String,
    pub(crate) partition: TopicPartition,
}

const KEY_VERSION: i16 = 1;
const VALUE_VERSION: i16 = 3;

/// The key of a commit.
pub(crate) fn encode_key(group: &str, partition: &TopicPartition) -> Vec<u8> {
    let mut key = KEY_VERSION.to_be_bytes().to_vec();
    put_string(&mut key, group);
    put_string(&mut key, &partition.topic);
    key.extend_from_slice(&partition.partition.to_be_bytes());
    key
}

/// The value of a commit made at `now`.
pub(crate) fn encode_value(commit: &OffsetAndMetadata, now: Timestamp) -> Vec<u8> {
    let mut value = VALUE_VERSION.to_be_bytes().to_vec();
    value.extend_from_slice(&commit.offset.to_be_bytes());
    value.extend_from_slice(&commit.leader_epoch.to_be_bytes());
    put_string(&mut value, &commit.metadata);
    value.extend_from_slice(&now.to_be_bytes());
    value
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    let len = i16::try_from(text.len()).expect("group ids, topics and metadata are checked before");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Reads a key; `None` if it is not one of a commit (versions 0 and 1 are) or is damaged.
pub(crate) fn parse_key(key: &[u8]) -> Option<CommitKey> {
    let mut rest = Fields(key);
    if !matches!(rest.i16()?, 0 | 1) {
        return None;
    }
    let group = rest.string()?;
    let topic = rest.string()?;
    let partition = rest.i32()?;
    Some(CommitKey { group, partition: TopicPartition::new(topic, partition) })
}

/// Reads a value of any version; `None` if it is damaged.
pub(crate) fn parse_value(value: &[u8]) -> Option<OffsetAndMetadata> {
    let mut rest = Fields(value);
    let version = rest.i16()?;
    if !(0..=4).contains(&version) {
        return None;
    }
    let offset = rest.i64()?;
    let leader_epoch = if version >= 3 { rest.i32()? } else { -1 };
    let metadata = if version >= 4 { rest.compact_string()? } else { rest.string()? };
    Some(OffsetAndMetadata { offset, metadata, leader_epoch })
}

/// What is left of a message.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    fn string(&mut self) -> Option<String> {
        let len = usize::try_from(self.i16()?).ok()?;
        self.text(len)
    }

    fn compact_string(&mut self) -> Option<String> {
        let mut len = 0_u32;
        for shift in [0, 7, 14] {
            let [byte] = self.take()?;
            len |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return self.text(usize::try_from(len.checked_sub(1)?).ok()?);
            }
        }
        None
    }

    fn text(&mut self, len: usize) -> Option<String> {
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit() -> OffsetAndMetadata {
        OffsetAndMetadata { offset: 42, metadata: "who".to_owned(), leader_epoch: 7 }
    }

    #[test]
    fn keys_and_values_have_kafkas_bytes() {
        let key = encode_key("g", &TopicPartition::new("orders", 3));
        let value = encode_value(&commit(), 1);

        assert_eq!(key, b"\x00\x01\x00\x01g\x00\x06orders\x00\x00\x00\x03");
        let expected = b"\x00\x03\x00\x00\x00\x00\x00\x00\x00\x2a\x00\x00\x00\x07\x00\x03who\
                         \x00\x00\x00\x00\x00\x00\x00\x01";
        assert_eq!(value, expected);
    }

    #[test]
    fn values_of_every_version_are_read() {
        let tail = b"\x00\x00\x00\x00\x00\x00\x00\x01";
        let offset = b"\x00\x00\x00\x00\x00\x00\x00\x2a";
        let old = OffsetAndMetadata { leader_epoch: -1, ..commit() };
        for version in 0..=2_u8 {
            let value = [&[0, version][..], offset, b"\x00\x03who", tail, tail].concat();
            assert_eq!(parse_value(&value).as_ref(), Some(&old), "version {version}");
        }
        let flexible = [&[0, 4][..], offset, b"\x00\x00\x00\x07\x04who", tail, &[0]].concat();
        assert_eq!(parse_value(&flexible), Some(commit()));
    }

    #[test]
    fn damaged_keys_and_values_are_no_commits() {
        let key = encode_key("g", &TopicPartition::new("orders", 3));
        let value = encode_value(&commit(), 1);

        for end in 0..key.len() {
            assert!(parse_key(&key[..end]).is_none(), "key of {end} bytes");
        }
        for end in 0..value.len() - 8 {
            assert!(parse_value(&value[..end]).is_none(), "value of {end} bytes");
        }
        assert!(parse_key(b"\x00\x02\x00\x01g").is_none());
        assert!(parse_value(b"\x00\x05").is_none());
    }
}
