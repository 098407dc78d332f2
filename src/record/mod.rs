//! Kafka's record formats: bytes in, bytes out; no file is opened here.
//!
//! A *batch* is the unit that is written, checksummed and compressed. Format v2 (magic 2) is
//! read and written; the message sets of old brokers (magic 0 and 1) are read.
//!
//! - [`BatchInfo`] says what the next batch in a log is, from its first bytes.
//! - [`verify`] checks one whole batch: its size, its magic, its checksum.
//! - [`Batch`] decodes one batch into [`Record`]s that borrow from it.
//! - [`BatchBuilder`] encodes records into a batch.
//! - [`stamp`] and [`set_log_append_time`] write what only the log knows.

mod batch;
mod builder;
pub mod codec;
pub mod control;
mod fields;
mod headers;
mod info;
mod legacy;
mod lz4;
mod records;
pub mod varint;
mod xerial;
mod zstandard;

pub use batch::Batch;
pub use builder::BatchBuilder;
pub use headers::{Headers, HeadersIter};
pub use info::{BatchInfo, set_log_append_time, stamp, verify};
pub use records::{Mark, Record, Records};
