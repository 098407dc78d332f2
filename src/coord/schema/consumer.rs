//! What members of a consumer group tell each other: `ConsumerProtocolSubscription`,
//! `ConsumerProtocolAssignment`.
//!
//! A version newer than is known is read as the newest known one: new fields stand at the end.

use super::fields::{Fields, Put};
use crate::types::TopicPartition;

/// What a member wants, and what it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) topics: Vec<String>,
    pub(crate) user_data: Option<Vec<u8>>,
    pub(crate) owned_partitions: Vec<TopicPartition>,
    /// In which it owned them; -1 if it does not say.
    pub(crate) generation: i32,
    pub(crate) rack_id: Option<String>,
}

/// What a member gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) partitions: Vec<TopicPartition>,
    pub(crate) user_data: Option<Vec<u8>>,
}

/// The newest version of both, which Kafka's clients write.
const VERSION: i16 = 3;

/// A subscription, with its topics and partitions in order as Kafka's clients write it.
pub(crate) fn encode_subscription(subscription: &Subscription) -> Vec<u8> {
    let mut topics = subscription.topics.clone();
    topics.sort();
    let mut owned = subscription.owned_partitions.clone();
    owned.sort();
    let mut message = VERSION.to_be_bytes().to_vec();
    message.put_count(topics.len());
    for topic in &topics {
        message.put_string(topic);
    }
    message.put_nullable_bytes(subscription.user_data.as_deref());
    put_partitions(&mut message, &owned);
    message.put_i32(subscription.generation);
    message.put_nullable_string(subscription.rack_id.as_deref());
    message
}

/// An assignment, with its topics in the order of their first partitions.
pub(crate) fn encode_assignment(assignment: &Assignment) -> Vec<u8> {
    let mut message = VERSION.to_be_bytes().to_vec();
    put_partitions(&mut message, &assignment.partitions);
    message.put_nullable_bytes(assignment.user_data.as_deref());
    message
}

fn put_partitions(message: &mut Vec<u8>, partitions: &[TopicPartition]) {
    let topics = by_topic(partitions);
    message.put_count(topics.len());
    for (topic, numbers) in topics {
        message.put_string(topic);
        message.put_count(numbers.len());
        for number in numbers {
            message.put_i32(number);
        }
    }
}

fn by_topic(partitions: &[TopicPartition]) -> Vec<(&str, Vec<i32>)> {
    let mut topics: Vec<(&str, Vec<i32>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for TopicPartition { topic, partition } in partitions {
        let place = *places.entry(topic.as_ref()).or_insert(topics.len());
        if place == topics.len() {
            topics.push((topic, Vec::new()));
        }
        topics[place].1.push(*partition);
    }
    topics
}

/// Reads a subscription of any version; `None` if it is damaged.
#[cfg_attr(
    not(any(test, debug_assertions, fuzzing)),
    expect(dead_code, reason = "for groups that brokers wrote")
)]
pub(crate) fn parse_subscription(message: &[u8]) -> Option<Subscription> {
    let mut rest = Fields::new(message);
    let version = rest.i16()?;
    if version < 0 {
        return None;
    }
    Some(Subscription {
        topics: rest.array(Fields::string)?,
        user_data: rest.nullable_bytes()?,
        owned_partitions: if version >= 1 { parse_partitions(&mut rest)? } else { Vec::new() },
        generation: if version >= 2 { rest.i32()? } else { -1 },
        rack_id: if version >= 3 { rest.nullable_string()? } else { None },
    })
}

/// Reads an assignment of any version; `None` if it is damaged.
#[cfg_attr(
    not(any(test, debug_assertions, fuzzing)),
    expect(dead_code, reason = "for groups that brokers wrote")
)]
pub(crate) fn parse_assignment(message: &[u8]) -> Option<Assignment> {
    let mut rest = Fields::new(message);
    if rest.i16()? < 0 {
        return None;
    }
    Some(Assignment { partitions: parse_partitions(&mut rest)?, user_data: rest.nullable_bytes()? })
}

fn parse_partitions(rest: &mut Fields<'_>) -> Option<Vec<TopicPartition>> {
    let topics = rest.array(|rest| {
        let topic: std::sync::Arc<str> = rest.string()?.into();
        rest.array(|rest| Some(TopicPartition::new(topic.clone(), rest.i32()?)))
    })?;
    Some(topics.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::hex;
    use super::*;

    /// As Kafka 4.3.1 writes it, a version each.
    const SUBSCRIPTIONS: [&str; 4] = [
        "000000000002000562696c6c7300066f7264657273000000020708",
        "000100000002000562696c6c7300066f726465727300000002070800000002000562696c6c730000\
         00010000000000066f7264657273000000020000000000000001",
        "000200000002000562696c6c7300066f726465727300000002070800000002000562696c6c730000\
         00010000000000066f726465727300000002000000000000000100000007",
        "000300000002000562696c6c7300066f726465727300000002070800000002000562696c6c730000\
         00010000000000066f72646572730000000200000000000000010000000700047261636b",
    ];

    /// As Kafka 4.3.1 writes it, a version each.
    const PLAIN_SUBSCRIPTIONS: [&str; 4] = [
        "00000000000100066f7264657273ffffffff",
        "00010000000100066f7264657273ffffffff00000000",
        "00020000000100066f7264657273ffffffff00000000ffffffff",
        "00030000000100066f7264657273ffffffff00000000ffffffffffff",
    ];

    /// As Kafka 4.3.1 writes it, from version 1 on; the versions do not differ.
    const ASSIGNMENT: &str = "00030000000200066f7264657273000000020000000100000000000562696c6c7300000001000000\
         000000000109";

    fn partitions(all: &[(&str, i32)]) -> Vec<TopicPartition> {
        all.iter().map(|&(topic, partition)| TopicPartition::new(topic, partition)).collect()
    }

    fn subscription(version: usize) -> Subscription {
        let owned = partitions(&[("bills", 0), ("orders", 0), ("orders", 1)]);
        Subscription {
            topics: vec!["bills".to_owned(), "orders".to_owned()],
            user_data: Some(vec![7, 8]),
            owned_partitions: if version >= 1 { owned } else { vec![] },
            generation: if version >= 2 { 7 } else { -1 },
            rack_id: (version >= 3).then(|| "rack".to_owned()),
        }
    }

    fn plain() -> Subscription {
        Subscription {
            topics: vec!["orders".to_owned()],
            generation: -1,
            ..Subscription::default()
        }
    }

    fn assignment() -> Assignment {
        Assignment {
            partitions: partitions(&[("orders", 1), ("orders", 0), ("bills", 0)]),
            user_data: Some(vec![9]),
        }
    }

    #[test]
    fn subscriptions_have_kafkas_bytes() {
        let mut unordered = subscription(3);
        unordered.topics.reverse();
        unordered.owned_partitions.reverse();

        assert_eq!(encode_subscription(&unordered), hex(SUBSCRIPTIONS[3]));
        assert_eq!(encode_subscription(&plain()), hex(PLAIN_SUBSCRIPTIONS[3]));
    }

    #[test]
    fn assignments_have_kafkas_bytes() {
        let given = partitions(&[("orders", 1), ("bills", 0), ("orders", 0)]);

        let message = encode_assignment(&Assignment { partitions: given, ..assignment() });

        assert_eq!(message, hex(ASSIGNMENT));
        assert_eq!(encode_assignment(&Assignment::default()), hex("000300000000ffffffff"));
    }

    #[test]
    fn subscriptions_of_every_version_are_read() {
        for version in 0..=3 {
            let (full, none) = (hex(SUBSCRIPTIONS[version]), hex(PLAIN_SUBSCRIPTIONS[version]));
            assert_eq!(parse_subscription(&full), Some(subscription(version)), "{version}");
            assert_eq!(parse_subscription(&none), Some(plain()), "{version}");
        }
    }

    #[test]
    fn assignments_of_every_version_are_read() {
        for version in 0..=3 {
            let message = [&[0, version], &hex(ASSIGNMENT)[2..]].concat();
            assert_eq!(parse_assignment(&message), Some(assignment()), "{version}");
        }
    }

    #[test]
    fn a_newer_version_is_read_as_the_newest_known() {
        let newer = [&[0, 9], &hex(SUBSCRIPTIONS[3])[2..], b"more"].concat();

        assert_eq!(parse_subscription(&newer), Some(subscription(3)));
        assert_eq!(parse_subscription(b"\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff"), None);
    }

    #[test]
    fn a_message_cut_anywhere_is_damaged() {
        for message in SUBSCRIPTIONS.map(hex) {
            for end in 0..message.len() {
                assert_eq!(parse_subscription(&message[..end]), None, "{end} of {message:?}");
            }
        }
        let message = hex(ASSIGNMENT);
        for end in 0..message.len() {
            assert_eq!(parse_assignment(&message[..end]), None, "{end}");
        }
    }

    #[test]
    fn lengths_beyond_the_end_and_below_null_are_damage() {
        for count in [i32::MAX, i32::MIN, -2] {
            let message = [&[0, 3], &count.to_be_bytes()[..], &[0; 64]].concat();
            assert_eq!(parse_subscription(&message), None, "{count}");
            assert_eq!(parse_assignment(&message), None, "{count}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(version in 0..5_u8, bytes: Vec<u8>) {
            let message = [&[0, version], &bytes[..]].concat();

            let _ = parse_subscription(&message);
            let _ = parse_assignment(&message);
            let _ = super::super::parse_group_value(&message);
        }
    }
}
