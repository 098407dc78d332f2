//! The records of a batch, read one after the other; they borrow from it.
//!
//! A record of magic 2:
//!
//! ```text
//! length varint | attributes i8 | timestamp delta varlong | offset delta varint
//!   | key length varint | key | value length varint | value
//!   | headers count varint | (key length varint | key | value length varint | value)*
//! ```
//!
//! `length` counts the bytes behind itself; a null key or value has the length -1.

use super::batch::Contents;
use super::headers::{Headers, field};
use super::legacy;
use super::varint::{read_i32, read_i64};
use crate::error::Corruption;
use crate::types::Timestamp;

/// The fewest bytes a v2 record takes: seven fields of one byte.
pub(crate) const MIN_SIZE: usize = 7;

/// One record; its bytes lie in the batch's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its place in the partition.
    pub offset: i64,
    /// Milliseconds since the epoch, or -1.
    pub timestamp: Timestamp,
    /// The key; records of one key keep their order and are compacted together.
    pub key: Option<&'a [u8]>,
    /// The value; null marks the key as deleted where the topic is compacted.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: Headers<'a>,
}

/// How records are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Legacy,
    V2,
}

/// What the records' offsets and timestamps count from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base {
    pub(crate) format: Format,
    pub(crate) offset: i64,
    pub(crate) timestamp: Timestamp,
    /// The time of the append, which hides the records' own timestamps.
    pub(crate) log_append_time: Option<Timestamp>,
}

impl<'a> Record<'a> {
    /// Takes one v2 record off the front of `bytes`.
    #[inline]
    pub(crate) fn parse(bytes: &mut &'a [u8], base: &Base) -> Result<Self, Corruption> {
        let Some(mut body) = field(bytes)? else {
            return Err(Corruption::Field("record length"));
        };
        let Some((_attributes, rest)) = body.split_first() else {
            return Err(Corruption::Length(0));
        };
        body = rest;
        // Wrong deltas give wrong numbers, never a panic: the checksum vouches for them.
        let timestamp = base.timestamp.wrapping_add(read_i64(&mut body)?);
        let offset = base.offset.wrapping_add(read_i32(&mut body)?.into());
        let key = field(&mut body)?;
        let value = field(&mut body)?;
        let headers = Headers::parse(body)?;
        let timestamp = base.log_append_time.unwrap_or(timestamp);
        Ok(Self { offset, timestamp, key, value, headers })
    }
}

/// A place between two records of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub(crate) position: usize,
    pub(crate) index: usize,
}

/// Reads a batch's records in order; ends after the first error.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    contents: &'a Contents,
    rest: &'a [u8],
    left: usize,
}

impl<'a> Records<'a> {
    /// Starts at `mark`; one of another batch gives errors or nothing.
    pub(crate) fn new(contents: &'a Contents, mark: Mark) -> Self {
        Self {
            contents,
            rest: contents.data.get(mark.position..).unwrap_or_default(),
            left: contents.count.saturating_sub(mark.index),
        }
    }

    /// Where this reader stands; see [`Batch::records_at`](super::Batch::records_at).
    pub fn mark(&self) -> Mark {
        Mark {
            position: self.contents.data.len() - self.rest.len(),
            index: self.contents.count - self.left,
        }
    }

    /// Passes over `count` records, or all there are. Those of magic 2 are passed by their
    /// lengths alone: what else is wrong in them is left to who reads them.
    pub fn pass(&mut self, count: usize) -> Result<(), Corruption> {
        for _ in 0..count.min(self.left) {
            if self.rest.is_empty() {
                return Err(self.miscounted(0));
            }
            match self.contents.base.format {
                Format::V2 => drop(field(&mut self.rest)?),
                Format::Legacy => drop(legacy::record(&mut self.rest, &self.contents.base)?),
            }
            self.left -= 1;
        }
        Ok(())
    }

    #[inline]
    fn read(&mut self) -> Result<Record<'a>, Corruption> {
        if self.rest.is_empty() {
            return Err(self.miscounted(0));
        }
        let base = &self.contents.base;
        let record = match base.format {
            Format::V2 => Record::parse(&mut self.rest, base)?,
            Format::Legacy => legacy::record(&mut self.rest, base)?,
        };
        if self.left == 1 && !self.rest.is_empty() {
            return Err(self.miscounted(2));
        }
        Ok(record)
    }

    /// There are `more` records, or at least so many, where `left` are due.
    #[cold]
    fn miscounted(&self, more: usize) -> Corruption {
        let header = self.contents.count;
        Corruption::Count { header: header as i64, found: (header - self.left + more) as i64 }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Corruption>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let record = self.read();
        self.left = if record.is_ok() { self.left - 1 } else { 0 };
        Some(record)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Batch, BatchBuilder, set_log_append_time, verify};
    use crate::types::Compression;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn passing_records_leads_where_reading_them_does() {
        let mut builder = BatchBuilder::new(Compression::None, None);
        for size in [0, 3, 200, 70] {
            builder.append(5, None, Some(&[1; 200][..size]), &[("h", None)]);
        }
        let batch = Batch::decode(builder.finish().unwrap().into(), 0).unwrap();

        for count in 0..6 {
            let (mut passing, mut reading) = (batch.records(), batch.records());
            passing.pass(count).unwrap();
            reading.by_ref().take(count).for_each(|record| assert!(record.is_ok()));

            assert_eq!(passing.mark(), reading.mark());
            assert_eq!(passing.next(), reading.next());
        }
    }

    type Owned = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

    fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
        prop::option::of(vec(any::<u8>(), 0..300))
    }

    fn record() -> impl Strategy<Value = Owned> {
        (any::<i64>(), bytes(), bytes(), vec((".{0,9}", bytes()), 0..4))
    }

    fn append(builder: &mut BatchBuilder, (timestamp, key, value, headers): &Owned) -> i32 {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (&name[..], value.as_deref())).collect();
        let before = builder.len();
        let index = builder.append(*timestamp, key.as_deref(), value.as_deref(), &headers);
        let most = BatchBuilder::record_size(key.as_deref(), value.as_deref(), &headers);
        assert!(builder.len() - before <= most);
        index
    }

    fn owned(record: &Record<'_>) -> Owned {
        let headers = record.headers.iter();
        (
            record.timestamp,
            record.key.map(<[u8]>::to_vec),
            record.value.map(<[u8]>::to_vec),
            headers.map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec))).collect(),
        )
    }

    /// A batch of one record whose bytes, length included, are `record`.
    fn batch_of(record: &[u8]) -> Batch {
        let mut batch = BatchBuilder::new(Compression::None, None).finish().unwrap();
        batch.extend_from_slice(record);
        let length = batch.len() as i32 - 12;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch[60] = 1;
        Batch::decode(batch.into(), 0).unwrap()
    }

    fn builder_of_three() -> BatchBuilder {
        let mut builder = BatchBuilder::new(Compression::None, None);
        for value in [b"0123456789", b"abcdefghij", b"ABCDEFGHIJ"] {
            builder.append(5, None, Some(value), &[]);
        }
        builder
    }

    #[test]
    fn a_record_that_is_not_one_is_an_error() {
        for (record, error) in [
            (&[0x01, 0, 0, 0, 0, 0, 0][..], Corruption::Field("record length")),
            (&[0x00, 0, 0, 0, 0, 0, 0], Corruption::Length(0)),
            (&[0x0e, 0, 0, 0, 1, 1, 0], Corruption::Truncated { have: 6, need: 7 }),
            // One byte behind the headers.
            (&[0x0e, 0, 0, 0, 1, 1, 0, 0], Corruption::Length(1)),
            // A key of 64 bytes.
            (&[0x0e, 0, 0, 0, 0x80, 1, 1, 0], Corruption::Truncated { have: 2, need: 64 }),
            // Headers: -1 of them; 100 of them; one without a name; one whose name is not UTF-8.
            (&[0x0c, 0, 0, 0, 1, 1, 1], Corruption::Length(-1)),
            (&[0x0e, 0, 0, 0, 1, 1, 0xc8, 1], Corruption::Length(100)),
            (&[0x10, 0, 0, 0, 1, 1, 2, 1, 0], Corruption::Field("header key")),
            (&[0x12, 0, 0, 0, 1, 1, 2, 2, 0xff, 0], Corruption::Field("header key")),
        ] {
            let batch = batch_of(record);
            let mut records = batch.records();

            assert_eq!(records.next(), Some(Err(error)), "{record:x?}");
            assert_eq!(records.next(), None);
        }
    }

    #[test]
    fn nothing_is_read_behind_an_error() {
        let mut batch = builder_of_three().finish().unwrap();
        // The first header count, at the end of a record of 17 bytes.
        batch[61 + 16] = 1;

        let batch = Batch::decode(batch.into(), 0).unwrap();
        let mut records = batch.records();

        assert_eq!(records.next(), Some(Err(Corruption::Length(-1))));
        assert_eq!(records.next(), None);
    }

    #[test]
    fn a_count_that_does_not_fit_the_records_is_an_error() {
        for (count, found) in [(2, 3), (4, 3)] {
            let mut batch = builder_of_three().finish().unwrap();
            batch[60] = count;

            let batch = Batch::decode(batch.into(), 0).unwrap();

            let error = Corruption::Count { header: count.into(), found };
            assert_eq!(batch.records().last(), Some(Err(error)));
        }
    }

    #[test]
    fn a_count_the_bytes_cannot_hold_is_refused_at_once() {
        let mut batch = builder_of_three().finish().unwrap();
        batch[57] = 0x7f;

        assert!(matches!(Batch::decode(batch.into(), 0), Err(Corruption::Count { .. })));
    }

    #[test]
    fn a_reader_goes_on_where_another_stood() {
        let batch = Batch::decode(builder_of_three().finish().unwrap().into(), 0).unwrap();
        let mut first = batch.records();
        first.next();

        let rest: Vec<_> = batch.records_at(first.mark()).map(|it| it.unwrap().offset).collect();

        assert_eq!(rest, [1, 2]);
    }

    #[test]
    fn the_time_of_the_append_is_every_record_s() {
        let mut batch = builder_of_three().finish().unwrap();
        set_log_append_time(&mut batch, 99);

        let batch = Batch::decode(batch.into(), 0).unwrap();

        assert!(batch.records().all(|record| record.unwrap().timestamp == 99));
    }

    #[test]
    fn a_batch_that_compaction_emptied_has_no_record() {
        let batch = BatchBuilder::new(Compression::Gzip, None).finish().unwrap();

        assert_eq!(Batch::decode(batch.into(), 0).unwrap().records().count(), 0);
    }

    proptest! {
        #[test]
        fn records_come_back_as_they_were_appended(
            given in vec(record(), 1..20),
            codec in 0_u8..5,
            base_offset in 0_i64..1 << 40,
        ) {
            let codec = Compression::from_id(codec).unwrap();
            let mut builder = BatchBuilder::new(codec, None);
            for (i, record) in given.iter().enumerate() {
                prop_assert_eq!(append(&mut builder, record), i as i32);
            }
            let mut bytes = builder.finish().unwrap();
            crate::record::stamp(&mut bytes, base_offset, 1);

            let info = verify(&bytes).unwrap();
            let batch = Batch::decode(bytes.into(), 1 << 20).unwrap();
            let read: Vec<_> = batch.records().map(Result::unwrap).collect();

            prop_assert_eq!(info.last_offset, base_offset + given.len() as i64 - 1);
            let largest = given.iter().map(|record| record.0).max().unwrap().max(-1);
            prop_assert_eq!(info.max_timestamp, largest);
            for (i, (read, given)) in read.iter().zip(&given).enumerate() {
                prop_assert_eq!(read.offset, base_offset + i as i64);
                prop_assert_eq!(&owned(read), given);
            }
            prop_assert_eq!(read.len(), given.len());
        }

        #[test]
        fn any_bytes_are_a_batch_or_an_error(
            mut bytes in vec(any::<u8>(), 0..300),
            magic in 0_u8..3,
            codec in 0_u8..8,
        ) {
            if let [_, _, _, _, _, _, _, _, a, b, c, d, _, _, _, _, m, legacy, ..] = &mut bytes[..] {
                (*m, *legacy) = (magic, codec);
                [*a, *b, *c, *d] = [0, 0, 0, 0];
                let length = (bytes.len() - 12) as u16;
                bytes[10..12].copy_from_slice(&length.to_be_bytes());
            }
            if magic == 2 && bytes.len() > 60 {
                (bytes[22], bytes[57], bytes[58], bytes[59]) = (codec, 0, 0, 0);
            }
            let limit = 1 << 12;

            let _ = verify(&bytes);
            if let Ok(batch) = Batch::decode(bytes.clone().into(), limit) {
                let headers = batch.records().flatten().map(|it| it.headers.iter().count());
                prop_assert!(headers.count() <= batch.count());
                prop_assert!(batch.data().len() <= limit.max(bytes.len()));
            }
        }
    }
}
