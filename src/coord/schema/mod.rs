//! What `__consumer_offsets` holds, as Kafka's message definitions describe it: keys and values
//! of commits ([`offset`]) and of groups ([`group`]), and inside these what members of consumer
//! groups tell each other ([`consumer`]).
//!
//! Each message begins with its version. Versions before the flexible ones write strings as a
//! length `i16` and UTF-8, bytes and arrays with a length `i32`, -1 for null; in *flexible* ones
//! a length is an unsigned varint, plus one, and tagged fields stand at the end.
//!
//! What is parsed is hostile until it is parsed: a length is believed only as far as bytes are
//! left for it, and nothing is allocated by it before.

mod consumer;
mod fields;
mod group;
mod offset;

pub(crate) use self::consumer::{Assignment, Subscription, encode_assignment, encode_subscription};
#[cfg(any(debug_assertions, fuzzing))]
pub(crate) use self::consumer::{parse_assignment, parse_subscription};
pub(crate) use self::group::{
    CONSUMER_PROTOCOL, GroupMetadata, MemberMetadata, encode_group_key, encode_group_value,
    parse_group_key, parse_group_value,
};
pub(crate) use self::offset::{CommitValue, encode_key, encode_value, parse_key, parse_value};

#[cfg(test)]
/// The bytes of a hexadecimal number.
fn hex(digits: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(digit).collect()
}
