//! One batch, decoded: its records can be read out of one buffer.

use bytes::Bytes;

use super::fields::v2;
use super::info::{BatchInfo, whole};
use super::records::{Base, Format, MIN_SIZE, Mark, Records};
use super::{codec, legacy};
use crate::error::Corruption;
use crate::types::{Compression, TimestampType};

/// A batch whose records can be read.
#[derive(Clone, Debug)]
pub struct Batch {
    info: BatchInfo,
    contents: Contents,
}

/// The records of a batch, still encoded.
#[derive(Clone, Debug)]
pub(crate) struct Contents {
    /// Decompressed; uncompressed records lie where they came in.
    pub(crate) data: Bytes,
    /// Where the first record begins in `data`; never behind its end.
    pub(crate) start: usize,
    pub(crate) count: usize,
    pub(crate) base: Base,
}

impl Batch {
    /// Decodes `bytes`, which must be exactly one batch, and decompresses its records into at
    /// most `limit` bytes.
    ///
    /// The checksum is not looked at: that is [`verify`](super::verify)'s. The records of
    /// magic 2 are checked as they are read.
    pub fn decode(bytes: Bytes, limit: usize) -> Result<Self, Corruption> {
        let info = whole(&bytes)?;
        let contents = match info.magic {
            2 => open(&info, bytes, limit)?,
            _ => legacy::open(&info, bytes, limit)?,
        };
        Ok(Self { info, contents })
    }

    /// What the header says.
    pub const fn info(&self) -> &BatchInfo {
        &self.info
    }

    /// The buffer in which keys, values and headers lie.
    pub const fn data(&self) -> &Bytes {
        &self.contents.data
    }

    /// How many records there are, as the header says or, in magic 0 and 1, as was counted.
    pub const fn count(&self) -> usize {
        self.contents.count
    }

    /// Reads the records from the first one on.
    pub fn records(&self) -> Records<'_> {
        Records::new(&self.contents, Mark { position: self.contents.start, index: 0 })
    }

    /// Reads the records from a place where an earlier reader of this batch stood.
    pub fn records_at(&self, mark: Mark) -> Records<'_> {
        Records::new(&self.contents, mark)
    }
}

fn open(info: &BatchInfo, bytes: Bytes, limit: usize) -> Result<Contents, Corruption> {
    let count = info.records_count.unwrap_or(0);
    let count = usize::try_from(count).map_err(|_| Corruption::Field("records count"))?;
    let (data, start) = match info.compression {
        Compression::None => (bytes, v2::RECORDS),
        _ if count == 0 => (Bytes::new(), 0),
        codec => (codec::decompress(codec, &bytes[v2::RECORDS..], limit)?.into(), 0),
    };
    let most = (data.len() - start) / MIN_SIZE;
    if count > most {
        return Err(Corruption::Count { header: count as i64, found: most as i64 });
    }
    Ok(Contents { data, start, count, base: base(info) })
}

fn base(info: &BatchInfo) -> Base {
    Base {
        format: Format::V2,
        offset: info.base_offset,
        timestamp: info.base_timestamp,
        log_append_time: match info.timestamp_type {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(info.max_timestamp),
        },
    }
}
