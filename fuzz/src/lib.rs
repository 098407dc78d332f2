//! What the fuzz targets do with their bytes: any bytes give a value or an error, within the
//! limits, and what is read once reads the same again.
//!
//! `make fuzz` runs them all; `tests/fuzz_short.rs` runs a little of it with every test.

pub mod directory;
pub mod seeds;

use brokerless::Compression;
use brokerless::config::DirectoryConfig;
use brokerless::fuzz;
use brokerless::record::control::{ControlType, EndTransactionMarker};
use brokerless::record::{Batch, BatchBuilder, BatchInfo, Record, codec, verify};
use bytes::Bytes;

/// A target's name, and what it does with its bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target there is, by name: each has a file in `fuzz_targets` and a folder in `tests/data/fuzz`.
pub const TARGETS: [Target; 19] = [
    ("aborted_transactions", fuzz::aborted_transactions),
    ("batch_decode", batch_decode),
    ("batch_info", batch_info),
    ("checkpoint", fuzz::checkpoint),
    ("consumer_protocol", fuzz::consumer_protocol),
    ("control", control),
    ("directory", directory::directory),
    ("group_files", directory::group_files),
    ("group_record", fuzz::group_record),
    ("group_state", fuzz::group_state),
    ("gzip", |bytes| codec(Compression::Gzip, bytes)),
    ("indexes", fuzz::indexes),
    ("lz4", |bytes| codec(Compression::Lz4, bytes)),
    ("properties", properties),
    ("shared_memory", directory::shared_memory),
    ("snappy", |bytes| codec(Compression::Snappy, bytes)),
    ("snapshot", fuzz::snapshot),
    ("topics", fuzz::topics),
    ("zstd", |bytes| codec(Compression::Zstd, bytes)),
];

/// Does with `bytes` what the target of that name does.
///
/// # Panics
///
/// If there is none, or if it finds a fault.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.expect("a target that is in the list").1(bytes);
}

/// More than any input stands for that is not a bomb.
const LIMIT: usize = 1 << 20;

/// Parses a header; a batch that verifies has the facts its header gave.
pub fn batch_info(bytes: &[u8]) {
    let prefix = &bytes[..bytes.len().min(BatchInfo::MAX_PREFIX)];
    let info = BatchInfo::parse(prefix);
    if let Ok(verified) = verify(bytes) {
        assert_eq!(info, Ok(verified));
        assert_eq!(verified.size, bytes.len());
    }
}

/// Decodes one batch, its size made to fit; what is read is built anew and read again.
pub fn batch_decode(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    let size = bytes.len();
    if let Some(length) = bytes.get_mut(8..12) {
        length.copy_from_slice(&(size as i32 - 12).to_be_bytes());
    }
    let Ok(batch) = Batch::decode(Bytes::from(bytes), LIMIT) else { return };
    assert!(batch.data().len() <= LIMIT.max(size));
    let Ok(records) = batch.records().collect::<Result<Vec<_>, _>>() else { return };
    assert_eq!(records.len(), batch.count());
    build_anew(&records);
}

fn build_anew(records: &[Record<'_>]) {
    let mut builder = BatchBuilder::new(Compression::None, None);
    for record in records {
        let headers: Vec<_> = record.headers.iter().collect();
        builder.append(record.timestamp, record.key, record.value, &headers);
    }
    let bytes = builder.finish().expect("a batch below 2 GiB");
    verify(&bytes).expect("a batch that was just built");
    let batch = Batch::decode(bytes.into(), LIMIT).expect("a batch that was just built");
    for (i, (read, given)) in batch.records().zip(records).enumerate() {
        assert_eq!(read, Ok(Record { offset: i as i64, ..*given }));
    }
}

/// Reads a control record's key and value, split at the first byte.
pub fn control(bytes: &[u8]) {
    let [at, bytes @ ..] = bytes else { return };
    let (key, value) = bytes.split_at(usize::from(*at).min(bytes.len()));
    if let Ok(control) = ControlType::parse(key) {
        assert_eq!(ControlType::parse(&control.key()), Ok(control));
    }
    if let Ok(marker) = EndTransactionMarker::parse(key, value) {
        assert_eq!(EndTransactionMarker::parse(&marker.key(), &marker.value()), Ok(marker));
    }
}

/// Decompresses within the limit, and gives back what it compressed.
pub fn codec(codec: Compression, bytes: &[u8]) {
    if let Ok(out) = codec::decompress(codec, bytes, LIMIT) {
        assert!(out.len() <= LIMIT);
    }
    let mut packed = Vec::new();
    codec::compress(codec, None, bytes, &mut packed).expect("any bytes");
    let out = codec::decompress(codec, &packed, bytes.len()).expect("it was just compressed");
    assert_eq!(out, bytes);
}

/// Reads the settings of a directory.
pub fn properties(bytes: &[u8]) {
    let _ = DirectoryConfig::parse(bytes, std::path::Path::new("brokerless.properties"));
}
