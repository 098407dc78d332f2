//! Keys and values of groups: `GroupMetadataKey`, `GroupMetadataValue`.

use super::fields::{Fields, Put};
use crate::types::Timestamp;

/// The protocol type of groups of consumers.
pub(crate) const CONSUMER_PROTOCOL: &str = "consumer";

/// What a group was when it was last stable, or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupMetadata {
    /// [`CONSUMER_PROTOCOL`]; empty in a group that only ever had offsets.
    pub(crate) protocol_type: String,
    pub(crate) generation: i32,
    /// The name of the assignor; none in an empty group.
    pub(crate) protocol: Option<String>,
    /// The member id of the leader.
    pub(crate) leader: Option<String>,
    /// Since when it is in its state; -1 if that is unknown. An empty group's offsets expire by it.
    pub(crate) current_state_timestamp: Timestamp,
    pub(crate) members: Vec<MemberMetadata>,
}

/// One member of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberMetadata {
    pub(crate) member_id: String,
    pub(crate) group_instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    /// Milliseconds.
    pub(crate) rebalance_timeout: i32,
    /// Milliseconds.
    pub(crate) session_timeout: i32,
    /// An encoded [`Subscription`](super::Subscription).
    pub(crate) subscription: Vec<u8>,
    /// An encoded [`Assignment`](super::Assignment).
    pub(crate) assignment: Vec<u8>,
}

const KEY_VERSION: i16 = 2;
/// The newest that is not flexible: what brokers write.
const VALUE_VERSION: i16 = 3;

/// The key of a group.
pub(crate) fn encode_group_key(group: &str) -> Vec<u8> {
    let mut key = KEY_VERSION.to_be_bytes().to_vec();
    key.put_string(group);
    key
}

/// Reads a key; `None` if it is not one of a group or is damaged.
pub(crate) fn parse_group_key(key: &[u8]) -> Option<String> {
    let mut rest = Fields::new(key);
    if rest.i16()? != KEY_VERSION {
        return None;
    }
    rest.string()
}

/// The value of a group.
pub(crate) fn encode_group_value(group: &GroupMetadata) -> Vec<u8> {
    let mut value = VALUE_VERSION.to_be_bytes().to_vec();
    value.put_string(&group.protocol_type);
    value.put_i32(group.generation);
    value.put_nullable_string(group.protocol.as_deref());
    value.put_nullable_string(group.leader.as_deref());
    value.put_i64(group.current_state_timestamp);
    value.put_count(group.members.len());
    for member in &group.members {
        put_member(&mut value, member);
    }
    value
}

fn put_member(value: &mut Vec<u8>, member: &MemberMetadata) {
    value.put_string(&member.member_id);
    value.put_nullable_string(member.group_instance_id.as_deref());
    value.put_string(&member.client_id);
    value.put_string(&member.client_host);
    value.put_i32(member.rebalance_timeout);
    value.put_i32(member.session_timeout);
    value.put_bytes(&member.subscription);
    value.put_bytes(&member.assignment);
}

/// Reads a value of any version; `None` if it is damaged.
pub(crate) fn parse_group_value(value: &[u8]) -> Option<GroupMetadata> {
    let mut rest = Fields::new(value);
    let version = rest.i16()?;
    if !(0..=4).contains(&version) {
        return None;
    }
    let mut rest = rest.flexible(version >= 4);
    let group = GroupMetadata {
        protocol_type: rest.string()?,
        generation: rest.i32()?,
        protocol: rest.nullable_string()?,
        leader: rest.nullable_string()?,
        current_state_timestamp: if version >= 2 { rest.i64()? } else { -1 },
        members: rest.array(|rest| parse_member(rest, version))?,
    };
    rest.end()?;
    Some(group)
}

fn parse_member(rest: &mut Fields<'_>, version: i16) -> Option<MemberMetadata> {
    let mut member = MemberMetadata {
        member_id: rest.string()?,
        group_instance_id: if version >= 3 { rest.nullable_string()? } else { None },
        client_id: rest.string()?,
        client_host: rest.string()?,
        rebalance_timeout: if version >= 1 { rest.i32()? } else { -1 },
        session_timeout: rest.i32()?,
        subscription: rest.bytes()?,
        assignment: rest.bytes()?,
    };
    if version == 0 {
        // Before KIP-62 one number was both.
        member.rebalance_timeout = member.session_timeout;
    }
    rest.end()?;
    Some(member)
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;

    /// As Kafka 4.3.1 writes it, a version each.
    const STABLE: [&str; 5] = [
        "00000008636f6e73756d657200000005000572616e676500026d650000000200026d65000163000a\
         2f3132372e302e302e310000afc80000000301020300000001040003796f75000164000168000027\
         1000000000000000020506",
        "00010008636f6e73756d657200000005000572616e676500026d650000000200026d65000163000a\
         2f3132372e302e302e31000493e00000afc80000000301020300000001040003796f750001640001\
         680000ea600000271000000000000000020506",
        "00020008636f6e73756d657200000005000572616e676500026d650000018bcfe5687b0000000200\
         026d65000163000a2f3132372e302e302e31000493e00000afc80000000301020300000001040003\
         796f750001640001680000ea600000271000000000000000020506",
        "00030008636f6e73756d657200000005000572616e676500026d650000018bcfe5687b0000000200\
         026d650003692d31000163000a2f3132372e302e302e31000493e00000afc8000000030102030000\
         0001040003796f75ffff0001640001680000ea600000271000000000000000020506",
        "000409636f6e73756d6572000000050672616e6765036d650000018bcfe5687b03036d6504692d31\
         02630b2f3132372e302e302e31000493e00000afc80401020302040004796f7500026402680000ea\
         6000002710010305060000",
    ];

    /// As Kafka 4.3.1 writes it, a version each.
    const EMPTY: [&str; 5] = [
        "0000000000000000ffffffff00000000",
        "0001000000000000ffffffff00000000",
        "0002000000000000ffffffff000000000000000900000000",
        "0003000000000000ffffffff000000000000000900000000",
        "00040100000000000000000000000000090100",
    ];

    fn stable(version: usize) -> GroupMetadata {
        let member = |id: &str, instance: Option<&str>, client: &str, host: &str| MemberMetadata {
            member_id: id.to_owned(),
            group_instance_id: instance.filter(|_| version >= 3).map(str::to_owned),
            client_id: client.to_owned(),
            client_host: host.to_owned(),
            rebalance_timeout: if version >= 1 { 300_000 } else { 45_000 },
            session_timeout: 45_000,
            subscription: vec![1, 2, 3],
            assignment: vec![4],
        };
        let you = MemberMetadata {
            rebalance_timeout: if version >= 1 { 60_000 } else { 10_000 },
            session_timeout: 10_000,
            subscription: vec![],
            assignment: vec![5, 6],
            ..member("you", None, "d", "h")
        };
        GroupMetadata {
            protocol_type: CONSUMER_PROTOCOL.to_owned(),
            generation: 5,
            protocol: Some("range".to_owned()),
            leader: Some("me".to_owned()),
            current_state_timestamp: if version >= 2 { 1_700_000_000_123 } else { -1 },
            members: vec![member("me", Some("i-1"), "c", "/127.0.0.1"), you],
        }
    }

    fn empty(version: usize) -> GroupMetadata {
        GroupMetadata {
            protocol_type: String::new(),
            generation: 0,
            protocol: None,
            leader: None,
            current_state_timestamp: if version >= 2 { 9 } else { -1 },
            members: vec![],
        }
    }

    #[test]
    fn keys_and_values_have_kafkas_bytes() {
        assert_eq!(encode_group_key("group"), b"\x00\x02\x00\x05group");
        assert_eq!(encode_group_value(&stable(3)), hex(STABLE[3]));
        assert_eq!(encode_group_value(&empty(3)), hex(EMPTY[3]));
    }

    #[test]
    fn a_key_is_read_and_that_of_a_commit_is_not() {
        assert_eq!(parse_group_key(b"\x00\x02\x00\x05group").as_deref(), Some("group"));
        assert_eq!(parse_group_key(b"\x00\x01\x00\x05group\x00\x01t\x00\x00\x00\x00"), None);
    }

    #[test]
    fn values_of_every_version_are_read() {
        for version in 0..=4 {
            let (full, none) = (hex(STABLE[version]), hex(EMPTY[version]));
            assert_eq!(parse_group_value(&full), Some(stable(version)), "version {version}");
            assert_eq!(parse_group_value(&none), Some(empty(version)), "version {version}");
        }
    }

    #[test]
    fn a_value_cut_anywhere_is_damaged() {
        for value in STABLE.map(hex) {
            for end in 0..value.len() {
                assert_eq!(parse_group_value(&value[..end]), None, "{end} of {value:?}");
            }
        }
    }

    #[test]
    fn a_value_of_an_unknown_version_is_not_read() {
        let value = [&[0, 5], &hex(STABLE[4])[2..]].concat();

        assert_eq!(parse_group_value(&value), None);
    }

    #[test]
    fn tagged_fields_are_skipped() {
        let value = hex(EMPTY[4]);
        let tagged = [&value[..value.len() - 1], b"\x02\x00\x03abc\x07\x00"].concat();

        assert_eq!(parse_group_value(&tagged), Some(empty(4)));
    }

    #[test]
    fn a_client_id_that_is_too_long_is_cut_between_two_characters() {
        let mut group = stable(3);
        group.members[0].client_id = "\u{e9}".repeat(20_000);

        let read = parse_group_value(&encode_group_value(&group)).unwrap();

        assert_eq!(read.members[0].client_id, "\u{e9}".repeat(16_383));
        assert_eq!(read.members[1], group.members[1]);
    }
}
