//! One partition: append, read, roll, look up.

use std::path::Path;

use brokerless::engine::{Cursor, Engine};
use brokerless::{Error, IsolationLevel, TopicPartition};

use crate::support::{
    ORDERS, append, batch_at, numbered, open, open_read_only, partition, read, read_from,
};

fn settings(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn small_segments(engine: &Engine) {
    let settings = settings(&[("segment.bytes", "400"), ("index.interval.bytes", "100")]);
    engine.create_topic(ORDERS, None, &settings).unwrap();
}

fn logs(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir.join("orders-0"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|suffix| suffix == "log"))
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_appended_is_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let orders = partition(&engine);

    assert_eq!(append(&orders, &["a", "b"]), 0);
    assert_eq!(append(&orders, &["c"]), 2);

    assert_eq!(read(&orders), numbered(&["a", "b", "c"]));
    assert_eq!(read_from(&orders, 1), numbered(&["a", "b", "c"])[1..]);
    assert_eq!(read_from(&orders, 3), []);
}

/// Whoever reads up to the end would do so for ever.
#[test]
fn a_reader_passes_offsets_at_the_end_that_nobody_has_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    append(&partition(&engine), &["a", "b"]);
    drop(engine);
    std::fs::write(dir.path().join(format!("orders-0/{:020}.log", 5)), "").unwrap();
    let engine = open(dir.path());
    let orders = partition(&engine);
    assert_eq!(orders.ends().unwrap().log_end_offset, 5);
    let mut cursor = Cursor::new(0);

    while !orders.read(&mut cursor, 1000, IsolationLevel::ReadUncommitted).unwrap().bytes.is_empty()
    {
    }

    assert_eq!(cursor.offset(), 5);
}

#[test]
fn two_handles_append_to_one_log() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    let (first, second) = (partition(&one), partition(&two));

    append(&first, &["a"]);
    append(&second, &["b"]);
    append(&first, &["c"]);

    assert_eq!(read(&first), numbered(&["a", "b", "c"]));
    assert_eq!(read(&second), read(&first));
}

#[test]
fn a_closed_directory_opens_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    append(&partition(&open(dir.path())), &["a", "b"]);

    assert!(dir.path().join(".kafka_cleanshutdown").exists());
    let engine = open(dir.path());
    assert!(!dir.path().join(".kafka_cleanshutdown").exists());

    assert_eq!(read(&partition(&engine)), numbered(&["a", "b"]));
    assert_eq!(append(&partition(&engine), &["c"]), 2);
    assert_eq!(partition(&engine).leader_epoch().unwrap(), 0);
}

#[test]
fn segments_are_rolled_and_read_as_one_log() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    small_segments(&one);
    let (writer, reader) = (partition(&one), partition(&two));
    let values: Vec<String> = (0..50).map(|n| format!("value {n}")).collect();

    for (n, value) in values.iter().enumerate() {
        let base = if n % 3 == 0 { append(&reader, &[value]) } else { append(&writer, &[value]) };
        assert_eq!(base, n as i64);
    }

    let expected = numbered(&values.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(logs(dir.path()).len() > 5, "{:?}", logs(dir.path()));
    for from in 0..=50 {
        assert_eq!(read_from(&reader, from as i64), expected[from..], "from {from}");
    }
    drop((one, two, writer, reader));
    assert_eq!(read(&partition(&open(dir.path()))), expected);
    assert_eq!(read(&partition(&open_read_only(dir.path()))), expected);
}

#[test]
fn an_old_segment_is_rolled_by_the_time_in_its_records() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    engine.create_topic(ORDERS, None, &settings(&[("segment.ms", "1000")])).unwrap();
    let orders = partition(&engine);

    for timestamp in [5_000, 6_000, 6_001, 6_500] {
        orders.append(&mut batch_at(timestamp, &["x"])).unwrap();
    }

    assert_eq!(logs(dir.path()), ["00000000000000000000.log", "00000000000000000002.log"]);
}

#[test]
fn a_segment_with_a_full_index_is_rolled() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let given = settings(&[("segment.index.bytes", "24"), ("index.interval.bytes", "0")]);
    engine.create_topic(ORDERS, None, &given).unwrap();
    let orders = partition(&engine);

    for n in 0..9 {
        orders.append(&mut batch_at(n, &["x"])).unwrap();
    }

    // Two entries fill the time index; the first batch of a segment has none.
    let bases = [0, 3, 6].map(|base| format!("{base:020}.log"));
    assert_eq!(logs(dir.path()), bases);
    assert_eq!(read(&orders).len(), 9);
}

#[test]
fn a_moment_finds_the_first_record_that_is_not_older() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    small_segments(&engine);
    let orders = partition(&engine);
    for n in 0..40 {
        orders.append(&mut batch_at(1_000 + 10 * n, &["a", "b"])).unwrap();
    }

    let found = |timestamp| orders.offset_for_time(timestamp).unwrap().map(|found| found.offset);

    assert_eq!(found(0), Some(0));
    for n in 0..40 {
        assert_eq!(found(1_000 + 10 * n), Some(2 * n), "record {n}");
        assert_eq!(found(1_001 + 10 * n), Some(2 * n + 1), "second of {n}");
    }
    assert_eq!(found(1_002), Some(2));
    assert_eq!(found(1_392), None);
}

#[test]
fn a_log_with_append_time_stamps_its_records() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let by_log = settings(&[("message.timestamp.type", "LogAppendTime")]);
    engine.create_topic(ORDERS, None, &by_log).unwrap();
    let orders = partition(&engine);

    let appended = orders.append(&mut batch_at(5, &["a"])).unwrap();

    let now = appended.timestamp.unwrap();
    assert!(now > 1_600_000_000_000);
    assert_eq!(orders.offset_for_time(now).unwrap().unwrap().timestamp, now);
}

#[test]
fn a_topic_with_a_codec_compresses_what_comes_uncompressed() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    engine.create_topic(ORDERS, None, &settings(&[("compression.type", "zstd")])).unwrap();
    let orders = partition(&engine);

    append(&orders, &["a", &"b".repeat(5_000)]);

    assert_eq!(read(&orders), numbered(&["a", &"b".repeat(5_000)]));
    let len =
        std::fs::metadata(dir.path().join("orders-0/00000000000000000000.log")).unwrap().len();
    assert!(len < 500, "{len} bytes");
}

#[test]
fn a_batch_above_the_limit_is_refused_and_the_next_one_taken() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    engine.create_topic(ORDERS, None, &settings(&[("max.message.bytes", "200")])).unwrap();
    let orders = partition(&engine);

    let refused = orders.append(&mut batch_at(0, &[&"x".repeat(200)]));

    assert!(matches!(refused, Err(Error::RecordTooLarge { max: 200, .. })), "{refused:?}");
    assert_eq!(append(&orders, &["a"]), 0);
}

#[test]
fn a_batch_that_no_segment_could_hold_is_refused_as_by_a_broker() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let settings = settings(&[("segment.bytes", "150"), ("max.message.bytes", "200")]);
    engine.create_topic(ORDERS, None, &settings).unwrap();
    let orders = partition(&engine);
    let append = |size| orders.append(&mut batch_at(0, &[&"x".repeat(size)])).unwrap_err();

    let (for_a_segment, for_a_message) = (append(100), append(200));

    assert_eq!(
        for_a_segment.to_string(),
        "Message batch size is 173 bytes in append to partition orders-0, which exceeds the \
         maximum configured segment size of 150."
    );
    assert!(!for_a_segment.is_retriable());
    assert!(matches!(for_a_message, Error::RecordTooLarge { max: 200, .. }), "{for_a_message:?}");
}

#[test]
fn an_offset_outside_the_log_is_named_with_its_edges() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let orders = partition(&engine);
    append(&orders, &["a"]);

    for offset in [-1, 2] {
        let read = orders.read(&mut Cursor::new(offset), 100, IsolationLevel::ReadUncommitted);
        let named = matches!(read, Err(Error::OffsetOutOfRange { start: 0, end: 1, .. }));
        assert!(named, "{read:?}");
    }
}

#[test]
fn a_read_only_directory_is_read_and_not_written() {
    let dir = tempfile::tempdir().unwrap();
    append(&partition(&open(dir.path())), &["a"]);

    let engine = open_read_only(dir.path());
    let orders = engine.partition(&TopicPartition::new(ORDERS, 0)).unwrap();

    assert_eq!(read(&orders), numbered(&["a"]));
    assert!(matches!(orders.append(&mut batch_at(0, &["b"])), Err(Error::ReadOnly(_))));
    assert!(matches!(engine.create_topic("new", None, &[]), Err(Error::ReadOnly(_))));
    assert!(dir.path().join(".kafka_cleanshutdown").exists());
}

#[test]
fn a_reader_is_woken_by_an_append_of_another_handle() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    let (writer, reader) = (partition(&one), partition(&two));
    let doorbell = two.doorbell();
    let seen = doorbell.value();
    doorbell.watch(&reader);
    assert_eq!(reader.ends().unwrap().log_end_offset, 0);

    append(&writer, &["a"]);

    assert_ne!(doorbell.value(), seen);
    assert_eq!(reader.ends().unwrap().log_end_offset, 1);
}

#[test]
fn a_file_that_was_cut_from_outside_is_not_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let orders = partition(&engine);
    append(&orders, &["a"]);
    let file = dir.path().join("orders-0/00000000000000000000.log");
    std::fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(10).unwrap();

    let refused = orders.append(&mut batch_at(0, &["b"]));

    assert!(matches!(refused, Err(Error::Replaced { .. })), "{refused:?}");
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 10);
}

#[test]
fn a_closed_logs_time_index_ends_with_the_youngest_timestamp() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let log = partition(&engine);
    for timestamp in [1_000, 3_000, 2_000] {
        log.append(&mut batch_at(timestamp, &["x"])).unwrap();
    }

    drop((log, engine));

    let index = dir.path().join("orders-0/00000000000000000000.timeindex");
    let last = [&3_000_i64.to_be_bytes()[..], &1_i32.to_be_bytes()[..]].concat();
    assert_eq!(std::fs::read(index).unwrap(), last);
    let timed = partition(&open(dir.path())).offset_for_time(3_000).unwrap();
    assert_eq!(timed.map(|found| found.offset), Some(1));
}
