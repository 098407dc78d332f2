//! Keys and values of commits: `OffsetCommitKey`, `OffsetCommitValue`.

use super::fields::{Fields, Put};
use crate::types::{OffsetAndMetadata, Timestamp, TopicPartition};

/// Whose offset a record commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitKey {
    pub(crate) group: String,
    pub(crate) partition: TopicPartition,
}

/// What a record commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitValue {
    pub(crate) commit: OffsetAndMetadata,
    /// When it was made.
    pub(crate) timestamp: Timestamp,
    /// When it ends, if the client said so (version 1).
    pub(crate) expires: Option<Timestamp>,
}

const KEY_VERSION: i16 = 1;
const VALUE_VERSION: i16 = 3;

/// The key of a commit.
pub(crate) fn encode_key(group: &str, partition: &TopicPartition) -> Vec<u8> {
    let mut key = KEY_VERSION.to_be_bytes().to_vec();
    key.put_string(group);
    key.put_string(&partition.topic);
    key.put_i32(partition.partition);
    key
}

/// The value of a commit made at `now`.
pub(crate) fn encode_value(commit: &OffsetAndMetadata, now: Timestamp) -> Vec<u8> {
    let mut value = VALUE_VERSION.to_be_bytes().to_vec();
    value.put_i64(commit.offset);
    value.put_i32(commit.leader_epoch);
    value.put_string(&commit.metadata);
    value.put_i64(now);
    value
}

/// Reads a key; `None` if it is not one of a commit (versions 0 and 1 are) or is damaged.
pub(crate) fn parse_key(key: &[u8]) -> Option<CommitKey> {
    let mut rest = Fields::new(key);
    if !matches!(rest.i16()?, 0 | 1) {
        return None;
    }
    let group = rest.string()?;
    let topic = rest.string()?;
    let partition = rest.i32()?;
    Some(CommitKey { group, partition: TopicPartition::new(topic, partition) })
}

/// Reads a value of any version; `None` if it is damaged.
pub(crate) fn parse_value(value: &[u8]) -> Option<CommitValue> {
    let mut rest = Fields::new(value);
    let version = rest.i16()?;
    if !(0..=4).contains(&version) {
        return None;
    }
    let mut rest = rest.flexible(version >= 4);
    let offset = rest.i64()?;
    let leader_epoch = if version >= 3 { rest.i32()? } else { -1 };
    let metadata = rest.string()?;
    let timestamp = rest.i64()?;
    let expires = if version == 1 { Some(rest.i64()?) } else { None };
    Some(CommitValue {
        commit: OffsetAndMetadata { offset, metadata, leader_epoch },
        timestamp,
        expires: expires.filter(|expires| *expires >= 0),
    })
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
            let commit = old.clone();
            let expires = (version == 1).then_some(1);
            let expected = CommitValue { commit, timestamp: 1, expires };
            assert_eq!(parse_value(&value), Some(expected), "version {version}");
        }
        let flexible = [&[0, 4][..], offset, b"\x00\x00\x00\x07\x04who", tail, &[0]].concat();
        let expected = CommitValue { commit: commit(), timestamp: 1, expires: None };
        assert_eq!(parse_value(&flexible), Some(expected));
    }

    #[test]
    fn damaged_keys_and_values_are_no_commits() {
        let key = encode_key("g", &TopicPartition::new("orders", 3));
        let value = encode_value(&commit(), 1);

        for end in 0..key.len() {
            assert!(parse_key(&key[..end]).is_none(), "key of {end} bytes");
        }
        for end in 0..value.len() {
            assert!(parse_value(&value[..end]).is_none(), "value of {end} bytes");
        }
        assert!(parse_key(b"\x00\x02\x00\x01g").is_none());
        assert!(parse_value(b"\x00\x05").is_none());
    }
}
