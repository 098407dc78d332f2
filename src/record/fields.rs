//! Where the fields of a batch lie, and big-endian access to them.
//!
//! ```text
//! any magic:   0 offset i64 | 8 length i32 | 12 ...              | 16 magic i8
//! magic 0, 1:  12 crc u32 | 16 magic | 17 attributes i8 | [18 timestamp i64, magic 1 only]
//!              | key length i32 | key | value length i32 | value
//! magic 2:     12 leader epoch i32 | 16 magic | 17 crc u32 | 21 attributes i16
//!              | 23 last offset delta i32 | 27 base timestamp i64 | 35 max timestamp i64
//!              | 43 producer id i64 | 51 producer epoch i16 | 53 base sequence i32
//!              | 57 records count i32 | 61 records
//! ```
//!
//! `length` counts the bytes behind itself. The checksum covers what lies behind it: CRC-32C
//! in magic 2, CRC-32 before, where it stands ahead of the magic.

pub(crate) const OFFSET: usize = 0;
pub(crate) const LENGTH: usize = 8;
/// Bytes of offset and length, which `length` does not count.
pub(crate) const LOG_OVERHEAD: usize = 12;
pub(crate) const MAGIC: usize = 16;

/// The fields of magic 2.
pub(crate) mod v2 {
    pub(crate) const LEADER_EPOCH: usize = 12;
    pub(crate) const CRC: usize = 17;
    pub(crate) const ATTRIBUTES: usize = 21;
    pub(crate) const LAST_OFFSET_DELTA: usize = 23;
    pub(crate) const BASE_TIMESTAMP: usize = 27;
    pub(crate) const MAX_TIMESTAMP: usize = 35;
    pub(crate) const PRODUCER_ID: usize = 43;
    pub(crate) const PRODUCER_EPOCH: usize = 51;
    pub(crate) const BASE_SEQUENCE: usize = 53;
    pub(crate) const RECORDS_COUNT: usize = 57;
    pub(crate) const RECORDS: usize = 61;
}

/// The fields of magic 0 and 1.
pub(crate) mod legacy {
    pub(crate) const CRC: usize = 12;
    pub(crate) const ATTRIBUTES: usize = 17;
    pub(crate) const TIMESTAMP: usize = 18;
    /// Where the key's length stands in magic 0.
    pub(crate) const KEY_V0: usize = 18;
    /// Where the key's length stands in magic 1.
    pub(crate) const KEY_V1: usize = 26;
    /// The smallest message of magic 0, with the log overhead: no key, no value.
    pub(crate) const MIN_V0: usize = 26;
    /// The smallest message of magic 1, with the log overhead: no key, no value.
    pub(crate) const MIN_V1: usize = 34;
}

/// The bits of a batch's attributes.
pub(crate) mod attributes {
    pub(crate) const COMPRESSION: u8 = 0x07;
    pub(crate) const LOG_APPEND_TIME: u8 = 0x08;
    pub(crate) const TRANSACTIONAL: u8 = 0x10;
    pub(crate) const CONTROL: u8 = 0x20;
    pub(crate) const DELETE_HORIZON: u8 = 0x40;
}

/// The `N` bytes at `at`; the caller has checked that they are there.
pub(crate) fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

/// Writes a field at `at`; the caller has checked that there is room.
pub(crate) fn put<const N: usize>(bytes: &mut [u8], at: usize, field: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&field);
}
