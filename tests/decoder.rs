//! Batches, whole and damaged, are decoded as kafka-python's decoder does it, or refused by both.
//!
//! `tests/data/decoder.tsv.gz` has kafka-python's answers (`tests/interop/decoder.py`); `make interop`
//! asks it anew, for many more.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use brokerless::Compression;
use brokerless::record::{Batch, BatchInfo, varint, verify};

const LIMIT: usize = 64 << 20;
const REFUSED: &str = "refused";

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn hex(bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return "-".to_owned() };
    bytes.iter().fold("=".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// The records, or why there are none.
fn answer(batch: &[u8]) -> Result<String, String> {
    verify(batch).map_err(|error| error.to_string())?;
    let batch = Batch::decode(batch.to_vec().into(), LIMIT).map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for record in batch.records() {
        let record = record.map_err(|error| error.to_string())?;
        let headers: Vec<_> = record
            .headers
            .iter()
            .map(|(key, value)| format!("{}:{}", hex(Some(key.as_bytes())), hex(value)))
            .collect();
        let (key, value) = (hex(record.key), hex(record.value));
        let headers = headers.join(",");
        rows.push(format!("{} {} {key} {value} [{headers}]", record.offset, record.timestamp));
    }
    Ok(if rows.is_empty() { "none".to_owned() } else { rows.join("|") })
}

/// Why we refuse what kafka-python reads. It takes what is there where a length leads behind the end,
/// passes over what is left, and does not look at what it does not need; Kafka's own decoder refuses
/// all of these but the delta, which makes no sense.
const STRICTER: [&str; 11] = [
    "length ",
    "truncated: ",
    "last offset delta is invalid",
    "lz4 refuses the data",
    "snappy refuses the data",
    "records count is invalid",
    "magic ",
    "offset ",
    "header key is invalid",
    "a variable-length integer does not end",
    "the header counts ",
];

/// Whether kafka-python cannot read what Kafka's own decoder reads, as we do: a batch whose header
/// counts no records, whatever follows; a length below -1, which is null; a record whose attributes
/// have the highest bit, for they are a byte and no varint; streams of snappy-java one after the
/// other (its `SnappyInputStream.hasNextChunk`); and control records, which are read as such only
/// later.
fn is_wider(batch: &[u8], ours: &str) -> bool {
    let decoded = Batch::decode(batch.to_vec().into(), LIMIT).unwrap();
    let data = decoded.data().to_vec();
    match batch[16] {
        2 if decoded.info().is_control => true,
        2 if decoded.info().compression == Compression::None => {
            ours == "none" || has_high_attributes(&data[61..])
        }
        2 if decoded.info().compression == Compression::Snappy && has_two_streams(&batch[61..]) => {
            true
        }
        2 => ours == "none" || has_high_attributes(&data),
        _ => has_odd_length(batch) || has_odd_length(&data),
    }
}

fn has_two_streams(frame: &[u8]) -> bool {
    const MAGIC: &[u8] = b"\x82SNAPPY\0";
    let mut rest = frame.get(16..).filter(|_| frame.starts_with(MAGIC)).unwrap_or_default();
    while let Some((size, behind)) = rest.split_first_chunk() {
        if rest.starts_with(MAGIC) {
            return true;
        }
        rest = behind.get(u32::from_be_bytes(*size) as usize..).unwrap_or_default();
    }
    false
}

fn has_high_attributes(mut records: &[u8]) -> bool {
    while let Ok(length @ 1..) = varint::read_i32(&mut records) {
        let Some((record, rest)) = records.split_at_checked(length as usize) else { return false };
        if record[0] >= 0x80 {
            return true;
        }
        records = rest;
    }
    false
}

fn has_odd_length(mut set: &[u8]) -> bool {
    while let Ok(info) = BatchInfo::parse(set) {
        let key = if info.magic == 0 { 18 } else { 26 };
        let number = |at: usize| i32::from_be_bytes(set[at..at + 4].try_into().unwrap());
        let value = key + 4 + usize::try_from(number(key)).unwrap_or(0);
        if number(key) < -1 || set.get(value..value + 4).is_some_and(|_| number(value) < -1) {
            return true;
        }
        set = set.get(info.size..).unwrap_or_default();
    }
    false
}

/// How the two differ, if they do and that is not known.
fn difference(batch: &[u8], theirs: &str) -> Option<String> {
    match (answer(batch), theirs.starts_with(REFUSED)) {
        (Ok(ours), false) if ours == theirs => None,
        (Err(_), true) => None,
        (Err(why), false) if STRICTER.iter().any(|known| why.starts_with(known)) => None,
        (Ok(ours), _) if is_wider(batch, &ours) => None,
        (Ok(ours), true) => {
            Some(format!("only we read: {theirs}: {ours:.70} {}", hex(Some(batch))))
        }
        (Err(why), false) => Some(format!("only we refuse: {why} {}", hex(Some(batch)))),
        (Ok(ours), false) => {
            Some(format!("read differently: {ours:.90} / {theirs:.90} {}", hex(Some(batch))))
        }
    }
}

/// How many lines there are, how many of them both read, and the differences.
fn compare(text: &str) -> (usize, usize, Vec<String>) {
    let (mut read, mut found) = (0, Vec::new());
    for line in text.lines() {
        let (batch, theirs) = line.split_once('\t').unwrap();
        let batch = bytes(batch);
        read += usize::from(answer(&batch).is_ok_and(|ours| ours == theirs));
        found.extend(difference(&batch, theirs));
    }
    (text.lines().count(), read, found)
}

#[test]
fn batches_are_decoded_as_by_kafka_python() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/decoder.tsv.gz");
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();

    let (count, read, found) = compare(&text);

    assert_eq!(found, [""; 0]);
    assert!(count > 500 && read > 150, "{read} of {count}");
}

#[test]
#[ignore = "make interop runs it"]
fn many_batches_are_decoded_as_by_kafka_python() {
    let path = std::env::var("DECODER_ANSWERS").unwrap();

    let (count, read, found) = compare(&std::fs::read_to_string(path).unwrap());

    println!("{count} batches, {read} of them read by both");
    assert_eq!(found, [""; 0]);
}
