//! Directories that real brokers wrote, against what real consumers were given from them.

use std::path::{Path, PathBuf};

use brokerless::TopicPartition;
use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::Env;

use crate::damage::warnings;
use crate::support::copy_folder;

const DIRECTORIES: [&str; 3] = ["clean", "killed", "old"];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kafka")
}

/// The lines of one kind.
fn lines(directory: &str, kind: &str) -> Vec<String> {
    let text = std::fs::read_to_string(data().join(format!("{directory}.jsonl"))).unwrap();
    let head = format!(r#"{{"is":"{kind}""#);
    let lines: Vec<String> =
        text.lines().filter(|line| line.starts_with(&head)).map(str::to_owned).collect();
    assert!(!lines.is_empty(), "{directory} has no {kind}");
    lines
}

/// The value of a field, without its quotes.
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let head = format!(r#""{name}":"#);
    let (_, rest) = line.split_once(&head).unwrap();
    let end = match rest.as_bytes()[0] {
        b'[' => rest.find(']').unwrap() + 1,
        b'"' => rest[1..].find('"').unwrap() + 2,
        _ => rest.find([',', '}']).unwrap(),
    };
    rest[..end].trim_matches('"')
}

fn number(line: &str, name: &str) -> i64 {
    field(line, name).parse().unwrap()
}

fn partition_of(line: &str) -> TopicPartition {
    TopicPartition::new(field(line, "topic"), number(line, "partition") as i32)
}

fn check_ends(engine: &Engine, directory: &str) {
    for line in lines(directory, "ends") {
        let ends = engine.partition(&partition_of(&line)).unwrap().ends().unwrap();

        let found = (ends.log_start_offset, ends.log_end_offset, ends.last_stable_offset);
        let expected = (number(&line, "beginning"), number(&line, "end"), number(&line, "stable"));
        assert_eq!(found, expected, "{directory}: {line}");
    }
}

fn check_times(engine: &Engine, directory: &str) {
    for line in lines(directory, "time") {
        let partition = engine.partition(&partition_of(&line)).unwrap();

        let found = partition.offset_for_time(number(&line, "at")).unwrap();

        // The protocol of the old broker's time has no leader epochs in this answer.
        let epoch = |epoch| if directory == "old" { -1 } else { epoch };
        let found = found.map_or_else(
            || "null".to_owned(),
            |at| format!("[{},{},{}]", at.offset, at.timestamp, epoch(at.leader_epoch)),
        );
        assert_eq!(found, field(&line, "found"), "{directory}: {line}");
    }
}

fn check_commits(engine: &Engine, directory: &str) {
    for line in lines(directory, "committed") {
        let committed = engine.committed_offsets(field(&line, "group")).unwrap();

        let commit = &committed[&partition_of(&line)];
        assert_eq!(commit.offset, number(&line, "offset"), "{directory}: {line}");
        let metadata =
            field(&line, "metadata").replace("\\u0000", "\0").replace("\\u00fc", "\u{fc}");
        assert_eq!(commit.metadata, metadata, "{directory}: {line}");
    }
}

fn open(dir: &Path, read_only: bool) -> std::sync::Arc<Engine> {
    let options = OpenOptions { read_only, ..OpenOptions::default() };
    Engine::open(dir, options, Env::system()).unwrap()
}

#[test]
fn a_brokers_directory_is_read_as_its_consumers_read_it() {
    for directory in DIRECTORIES {
        let engine = open(&data().join(directory), true);

        check_ends(&engine, directory);
        check_times(&engine, directory);
        check_commits(&engine, directory);
    }
}

#[test]
fn a_brokers_directory_can_be_taken_over() {
    for directory in DIRECTORIES {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&data().join(directory), copy.path());
        for _ in 0..2 {
            let engine = open(copy.path(), false);

            check_ends(&engine, directory);
            check_times(&engine, directory);
            check_commits(&engine, directory);
        }
    }
}

#[test]
fn an_index_of_aborted_transactions_that_cannot_be_right_is_made_anew() {
    const LOGS: [&str; 2] = ["00000000000000000000", "00000000000000000044"];
    let id = TopicPartition::new("transactions", 0);
    let aborted = |engine: &Engine| engine.partition(&id).unwrap().aborted(0, i64::MAX).unwrap();
    let expected = aborted(&open(&data().join("clean"), true));
    assert!(expected.len() > 2, "{expected:?}");
    for log in LOGS {
        let name = format!("transactions-0/{log}.txnindex");
        let good = std::fs::read(data().join("clean").join(&name)).unwrap();
        let entries: Vec<&[u8]> = good.chunks(34).collect();
        let mut later = good.clone();
        let last = good.len() - 34;
        later[last + 18..last + 26].copy_from_slice(&i64::to_be_bytes(1 << 40));
        let bad = [
            vec![0; 34],
            [&good[..], &[1; 7]].concat(),
            entries.iter().rev().copied().collect::<Vec<_>>().concat(),
            [&[0, 1], &good[2..]].concat(),
            later,
        ];
        for (number, bytes) in bad.iter().enumerate() {
            let copy = tempfile::tempdir().unwrap();
            copy_folder(&data().join("clean"), copy.path());
            let index = copy.path().join(&name);
            std::fs::write(&index, bytes).unwrap();

            let found = aborted(&open(copy.path(), true));
            assert_eq!(found, expected, "{log}, {number}, only read");
            assert_eq!(std::fs::read(&index).unwrap(), *bytes);

            let found = aborted(&open(copy.path(), false));
            assert_eq!(found, expected, "{log}, {number}");
            assert_eq!(std::fs::read(&index).unwrap(), good, "{log}, {number}");
        }
    }
}

#[test]
fn retention_deletes_nothing_of_a_brokers_topics_whose_settings_it_does_not_know() {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&data().join("clean"), copy.path());
    let engine = open(copy.path(), false);
    let far = Env::system().clock.now() + 365 * 24 * 3_600_000;

    for topic in engine.topics().unwrap().iter() {
        for number in 0..topic.partition_count() {
            let id = TopicPartition::new(topic.name.clone(), number);
            engine.partition(&id).unwrap().retain_if_due(far).unwrap();
        }
    }

    check_ends(&engine, "clean");
}

#[test]
fn taking_over_a_brokers_directory_warns_once_of_the_topics_that_keep_everything() {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&data().join("clean"), copy.path());
    let told = |read_only| {
        let (_, warnings) = warnings::of(|| open(copy.path(), read_only));
        let of_settings = |text: &&String| text.contains("what settings");
        warnings.iter().filter(of_settings).cloned().collect::<Vec<_>>()
    };

    assert_eq!(told(true), [""; 0], "who only reads deletes nothing");
    let first = told(false);

    let names = "(20 in all): append-time, codec-gzip, codec-lz4, codec-none, codec-snappy, ...;";
    assert!(first.len() == 1 && first[0].contains(names), "{first:?}");
    assert!(first[0].contains("`brokerless topics alter`"), "{first:?}");
    assert_eq!(told(false), [""; 0], "they are listed now");
}

#[test]
fn a_topic_found_by_its_folders_shows_that_it_keeps_everything_but_for_committed_offsets() {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&data().join("clean"), copy.path());
    let engine = open(copy.path(), false);
    let given = |name| engine.topic(name).unwrap().unwrap().config.given.clone();

    let kept = ["retention.bytes", "retention.ms"].map(|name| (name.to_owned(), "-1".to_owned()));
    assert_eq!(given("compacted"), kept.into());
    assert!(given("__consumer_offsets").is_empty());
}
