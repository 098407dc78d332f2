//! Ids of topics and directories (Kafka's `Uuid`): 128 bits, written as 22 letters of base64url.

use std::fmt;

use crate::env::random;

/// A topic's or directory's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id(u128);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Id {
    /// A new one, a UUID of version 4. As in Kafka, its text does not begin with a dash.
    pub fn random() -> Self {
        loop {
            let bits = random::u128() & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
            if bits >> 122 != 62 {
                return Self(bits);
            }
        }
    }

    /// Reads what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 22 {
            return None;
        }
        // 22 letters hold 132 bits; the last four are zero.
        let mut bits = 0_u128;
        for (index, letter) in text.bytes().enumerate() {
            let value = ALPHABET.iter().position(|known| *known == letter)? as u128;
            bits = if index == 21 { bits << 2 | value >> 4 } else { bits << 6 | value };
        }
        Some(Self(bits))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for index in 0..22_u32 {
            let value = if index == 21 { self.0 << 4 } else { self.0 >> (122 - 6 * index) };
            write!(f, "{}", char::from(ALPHABET[(value & 63) as usize]))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_kafka_writes_it() {
        // java: new Uuid(0x0123456789abcdefL, 0xfedcba9876543210L).toString()
        let id = Id(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);

        assert_eq!(id.to_string(), "ASNFZ4mrze_-3LqYdlQyEA");
        assert_eq!(Id::parse("ASNFZ4mrze_-3LqYdlQyEA"), Some(id));
    }

    #[test]
    fn random_ids_differ_and_read_back() {
        let (a, b) = (Id::random(), Id::random());

        assert_ne!(a, b);
        assert_eq!(Id::parse(&a.to_string()), Some(a));
    }
}
