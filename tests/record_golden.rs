//! Batches that kafka-python encoded decode to what it was given; `tests/data/record/make.py`
//! made them and tells their format.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod golden;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use brokerless::record::{Batch, BatchBuilder, BatchInfo, Record, stamp, verify};
use brokerless::types::{Compression, TimestampType};
use bytes::Bytes;

use crate::golden::{batches, folder, names};

const LIMIT: usize = 1 << 20;

/// The text beside the batches, with `*N` repeated out.
fn expected(name: &str) -> String {
    let text = std::fs::read_to_string(folder().join(format!("{name}.txt"))).unwrap();
    let lines = text.lines().map(|line| {
        let words: Vec<_> = line.split(' ').map(repeated_out).collect();
        words.join(" ") + "\n"
    });
    lines.collect()
}

fn repeated_out(word: &str) -> String {
    match word.split_once('*') {
        Some((bytes, times)) => format!("x{}", bytes[1..].repeat(times.parse().unwrap())),
        None => word.to_owned(),
    }
}

fn spell(bytes: Option<&[u8]>) -> String {
    bytes.map_or("-".to_owned(), |bytes| {
        bytes.iter().fold("x".to_owned(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    })
}

fn describe(info: &BatchInfo) -> String {
    let time = match info.timestamp_type {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    };
    format!(
        "batch {} {} {} {} {} {time} {} {} {} {} {}\n",
        info.magic,
        info.base_offset,
        info.last_offset,
        info.size,
        info.compression.name(),
        info.leader_epoch,
        info.producer_id,
        info.producer_epoch,
        info.base_sequence,
        i32::from(info.is_transactional),
    )
}

fn describe_record(record: &Record<'_>) -> String {
    let mut line = format!("record {} {} ", record.offset, record.timestamp);
    write!(line, "{} {}", spell(record.key), spell(record.value)).unwrap();
    for (name, value) in record.headers {
        write!(line, " {}={}", spell(Some(name.as_bytes())), spell(value)).unwrap();
    }
    line + "\n"
}

#[test]
fn every_golden_batch_decodes_to_what_its_encoder_was_given() {
    for name in names() {
        let mut text = String::new();
        for bytes in batches(&name) {
            text += &describe(&verify(&bytes).unwrap());
            let batch = Batch::decode(bytes, LIMIT).unwrap();
            for record in batch.records() {
                text += &describe_record(&record.unwrap());
            }
        }

        let expected = expected(&name);
        for (line, (ours, theirs)) in text.lines().zip(expected.lines()).enumerate() {
            assert_eq!(ours, theirs, "{name}.txt, line {}", line + 1);
        }
        assert_eq!(text.len(), expected.len(), "{name}");
    }
}

#[test]
fn a_batch_without_compression_is_encoded_to_the_same_bytes() {
    for bytes in batches("v2-none") {
        let batch = Batch::decode(bytes.clone(), LIMIT).unwrap();
        let info = batch.info();
        if info.timestamp_type == TimestampType::LogAppendTime {
            continue;
        }
        let mut builder = BatchBuilder::new(Compression::None, None);
        builder.set_producer(info.producer_id, info.producer_epoch, info.base_sequence);
        if info.is_transactional {
            builder.set_transactional();
        }
        for record in batch.records().map(Result::unwrap) {
            let headers: Vec<_> = record.headers.iter().collect();
            builder.append(record.timestamp, record.key, record.value, &headers);
        }

        let mut ours = builder.finish().unwrap();
        stamp(&mut ours, info.base_offset, info.leader_epoch);

        assert_eq!(ours, bytes);
    }
}

#[test]
fn every_golden_batch_compressed_anew_reads_the_same() {
    for name in names() {
        for bytes in batches(&name) {
            let batch = Batch::decode(bytes, LIMIT).unwrap();
            let records: Vec<_> = batch.records().map(Result::unwrap).collect();
            for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
                let codec = Compression::from_name(codec).unwrap();
                let mut builder = BatchBuilder::new(codec, None);
                for record in &records {
                    let headers: Vec<_> = record.headers.iter().collect();
                    builder.append(record.timestamp, record.key, record.value, &headers);
                }

                let ours = builder.finish().unwrap();
                verify(&ours).unwrap();
                let ours = Batch::decode(ours.into(), LIMIT).unwrap();

                for (i, (ours, theirs)) in ours.records().zip(&records).enumerate() {
                    assert_eq!(ours, Ok(Record { offset: i as i64, ..*theirs }));
                }
                assert_eq!(ours.records().count(), records.len());
            }
        }
    }
}

/// The segments below `folder`.
fn segments(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let logs = files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "log"));
    logs.chain(folders.iter().flat_map(|folder| segments(folder))).collect()
}

#[test]
fn every_batch_that_a_kafka_broker_wrote_verifies_and_decodes() {
    let kafka = folder().with_file_name("kafka");
    let mut magics = BTreeSet::new();
    for path in ["clean", "old"].iter().flat_map(|name| segments(&kafka.join(name))) {
        let mut log = Bytes::from(std::fs::read(&path).unwrap());
        while !log.is_empty() {
            let info = BatchInfo::parse(&log).unwrap();
            let bytes = log.split_to(info.size);

            assert_eq!(verify(&bytes), Ok(info), "{}", path.display());
            let batch = Batch::decode(bytes, LIMIT).unwrap();
            let read = batch.records().collect::<Result<Vec<_>, _>>();

            assert_eq!(read.map(|records| records.len()), Ok(batch.count()), "{}", path.display());
            magics.insert(info.magic);
        }
    }
    assert_eq!(magics, BTreeSet::from([0, 1, 2]));
}
