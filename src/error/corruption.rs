//! [`Corruption`]: what is wrong with bytes.

/// What is wrong with bytes that should be a batch, a record or an index entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corruption {
    /// Fewer bytes than the format needs.
    #[error("truncated: {have} bytes where {need} are needed")]
    Truncated {
        /// Bytes at hand.
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// A length field that no valid data has.
    #[error("length {0} is impossible")]
    Length(i64),
    /// A format version Kafka does not have.
    #[error("magic {0} is not 0, 1 or 2")]
    Magic(i8),
    /// The checksum does not fit the bytes.
    #[error("checksum is {computed:#010x}, the batch says {stored:#010x}")]
    Checksum {
        /// What the batch says.
        stored: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// A varint of more than 5 or 10 bytes.
    #[error("a variable-length integer does not end")]
    Varint,
    /// The records do not add up to the number the header gives.
    #[error("the header counts {header} records, the batch holds {found}")]
    Count {
        /// What the header says.
        header: i64,
        /// What was found.
        found: i64,
    },
    /// An offset that does not continue the log.
    #[error("offset {found} where {expected} is due")]
    Offset {
        /// The offset due.
        expected: i64,
        /// The offset found.
        found: i64,
    },
    /// A codec Kafka does not have.
    #[error("compression codec {0} is unknown")]
    Codec(u8),
    /// The codec refused the bytes.
    #[error("{0} refuses the data")]
    Compressed(&'static str),
    /// Decompression would exceed the reader's limit.
    #[error("decompresses to more than the limit of {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// There is not the memory to decompress it, although the limit allows that.
    #[error("needs {need} bytes of memory, more than there are")]
    Memory {
        /// Bytes that were asked for.
        need: usize,
    },
    /// A field with a value that the format does not allow.
    #[error("{0} is invalid")]
    Field(&'static str),
}
