//! Settings that change while others use them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::Arc;

use brokerless::config::Change;
use brokerless::engine::{Engine, Partition};
use brokerless::env::mem::{Call, MemDisk, Repeat};
use brokerless::env::point;
use brokerless::record::BatchBuilder;
use brokerless::types::{Durability, TimestampType};
use brokerless::{Compression, Error, TopicPartition};

use crate::damage::warnings;
use crate::support::{ORDERS, append, batch_at, open, open_read_only, partition};
use crate::topics::{afterwards, die_at, open_mem};

fn set(name: &str, value: &str) -> (String, Change) {
    (name.to_owned(), Change::Set(value.to_owned()))
}

fn delete(name: &str) -> (String, Change) {
    (name.to_owned(), Change::Delete)
}

fn alter(engine: &Engine, changes: &[(String, Change)]) {
    engine.alter_topic(ORDERS, changes, false).unwrap();
}

fn alter_directory(engine: &Engine, changes: &[(String, Change)]) {
    engine.alter_directory(changes, false).unwrap();
}

fn given(engine: &Engine) -> BTreeMap<String, String> {
    engine.topic(ORDERS).unwrap().unwrap().config.given.clone()
}

fn segments(dir: &std::path::Path) -> usize {
    let names = std::fs::read_dir(dir.join("orders-0")).unwrap();
    names.filter(|name| name.as_ref().unwrap().path().extension() == Some("log".as_ref())).count()
}

#[test]
fn the_next_append_of_another_handle_obeys_what_was_altered() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    let partition = partition(&two);
    append(&partition, &["a"]);

    alter(&one, &[set("max.message.bytes", "60")]);
    let refused = partition.append(&mut batch_at(1_000, &["b"]));
    assert!(
        matches!(refused, Err(Error::RecordTooLarge { max: 60, setting: "max.message.bytes", .. })),
        "{refused:?}"
    );

    alter(&one, &[delete("max.message.bytes"), set("segment.bytes", "100")]);
    append(&partition, &["b"]);
    assert_eq!(segments(dir.path()), 2);

    alter(&one, &[set("message.timestamp.type", "LogAppendTime")]);
    let stamped = partition.append(&mut batch_at(1_000, &["c"])).unwrap();
    assert!(stamped.timestamp.is_some());
    assert_eq!(partition.config().message_timestamp_type, TimestampType::LogAppendTime);
}

#[test]
fn what_was_altered_is_there_after_all_have_left() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    engine.create_topic(ORDERS, None, &[("retention.ms".into(), "5".into())]).unwrap();

    alter(&engine, &[set("retention.bytes", "6"), delete("retention.ms")]);
    let append = ("cleanup.policy".to_owned(), Change::Append("compact".into()));
    alter(&engine, &[append]);
    drop(engine);

    let expected = [("cleanup.policy", "delete,compact"), ("retention.bytes", "6")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(given(&open(dir.path())), BTreeMap::from(expected.clone()));
    assert_eq!(given(&open_read_only(dir.path())), BTreeMap::from(expected));
}

#[test]
fn a_change_that_cannot_be_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    engine.create_topic(ORDERS, None, &[]).unwrap();
    let generation = engine.topics_generation();

    for changes in [
        vec![set("retention.ms", "5"), set("segment.bytes", "few")],
        vec![set("retention.ms", "5"), set("no.such", "5")],
        vec![set("min.compaction.lag.ms", "6"), set("max.compaction.lag.ms", "5")],
        vec![("retention.ms".to_owned(), Change::Append("5".into()))],
    ] {
        for validate_only in [true, false] {
            let refused = engine.alter_topic(ORDERS, &changes, validate_only);
            assert!(matches!(refused, Err(Error::InvalidConfig { .. })), "{refused:?}");
        }
    }
    engine.alter_topic(ORDERS, &[set("retention.ms", "5")], true).unwrap();
    engine.alter_directory(&[set("num.partitions", "5")], true).unwrap();
    assert!(engine.alter_directory(&[set("num.partitions", "0")], false).is_err());

    assert_eq!(given(&engine), BTreeMap::new());
    assert_eq!(engine.config().num_partitions, 1);
    assert!(!dir.path().join("brokerless.properties").exists());
    assert_eq!(engine.topics_generation(), generation);
    let unknown = engine.alter_topic("other", &[], false);
    assert!(matches!(unknown, Err(Error::UnknownTopicOrPartition(_))), "{unknown:?}");
}

/// The first attempt had changed it before it failed.
#[test]
fn what_is_altered_again_after_an_error_survives_a_crash() {
    let topic = |engine: &Engine| engine.alter_topic(ORDERS, &[set("retention.ms", "1234")], false);
    let directory = |engine: &Engine| engine.alter_directory(&[set("num.partitions", "3")], false);
    let alters: [fn(&Engine) -> brokerless::Result<()>; 2] = [topic, directory];
    for alter in alters {
        let disk = MemDisk::new();
        let engine = open_mem(&disk);
        append(&partition(&engine), &["a"]);
        disk.fail_call(Call::SyncDir, 1, ErrorKind::Other, Repeat::Once);
        assert!(alter(&engine).is_err());

        alter(&engine).unwrap();

        let engine = open_mem(&disk.after_crash(0));
        let kept = given(&engine).get("retention.ms").is_some_and(|value| value == "1234");
        assert!(kept || engine.config().num_partitions == 3);
    }
}

#[test]
fn a_directorys_setting_holds_for_every_handle_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("brokerless.properties");
    std::fs::write(&path, "# ours\nmessage.max.bytes=2000\n").unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    let partition = partition(&two);
    assert_eq!(partition.config().max_message_bytes, 2000);

    alter_directory(&one, &[set("message.max.bytes", "60"), set("num.partitions", "3")]);

    let refused = partition.append(&mut batch_at(1_000, &["a"]));
    assert!(matches!(refused, Err(Error::RecordTooLarge { max: 60, .. })), "{refused:?}");
    assert_eq!(two.topic_or_create("new").unwrap().partition_count(), 3);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "# ours\nmessage.max.bytes=60\nnum.partitions=3\n");
    alter_directory(&one, &[delete("message.max.bytes")]);
    append(&partition, &["a"]);
}

/// What a process obeys that has altered settings, while another is in the middle of altering more.
fn obeyed_in_the_middle(place: &'static str) -> Vec<(i32, u32)> {
    let disk = MemDisk::new();
    let (one, two) = (open_mem(&disk), open_mem(&disk.process()));
    let own = partition(&one);
    append(&own, &["a"]);
    alter_directory(&one, &[set("message.max.bytes", "60"), set("num.partitions", "3")]);

    let obeyed = Rc::new(RefCell::new(Vec::new()));
    let seen = obeyed.clone();
    let look = move |point| {
        if point == place {
            let max = own.config().max_message_bytes;
            seen.borrow_mut().push((one.config().num_partitions, max));
        }
    };
    point::with_hook(look, || {
        alter(&two, &[set("segment.ms", "5")]);
        alter_directory(&two, &[set("log.roll.ms", "5")]);
    });
    obeyed.take()
}

#[test]
fn what_was_altered_is_obeyed_while_another_process_alters_more() {
    for place in ["topics.begun", "settings.begun"] {
        assert_eq!(obeyed_in_the_middle(place), [(3, 60)], "{place}");
    }
}

#[test]
fn a_file_that_was_spoilt_by_hand_leaves_the_settings_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (open(dir.path()), open(dir.path()));
    alter_directory(&one, &[set("num.partitions", "3")]);
    assert_eq!((one.config().num_partitions, two.config().num_partitions), (3, 3));

    alter_directory(&one, &[set("log.roll.ms", "5")]);
    std::fs::write(dir.path().join("brokerless.properties"), "num.partitions=x").unwrap();

    assert_eq!(two.config().num_partitions, 3, "although others have changed something");
    let refused = one.alter_directory(&[set("num.partitions", "4")], false);
    assert!(matches!(refused, Err(Error::InvalidProperty { line: 1, .. })), "{refused:?}");
    one.create_topic(ORDERS, None, &[]).unwrap();
    assert_eq!(two.topic(ORDERS).unwrap().unwrap().partition_count(), 3);
    append(&partition(&two), &["a"]);
}

#[test]
fn settings_whose_change_was_cut_short_are_the_old_ones_or_the_new_ones() {
    let points = [
        "topics.locked",
        "topics.read",
        "topics.begun",
        "replace.written",
        "replace.synced",
        "replace.renamed",
        "topics.written",
        "topics.told",
    ];
    let old = BTreeMap::from([("segment.bytes".to_owned(), "5000".to_owned())]);
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let new = BTreeMap::from([("segment.ms", "7"), ("retention.ms", "8")].map(pair));
    for point in points {
        let disk = MemDisk::new();
        let survivor = open_mem(&disk);
        survivor.create_topic(ORDERS, None, &[pair(("segment.bytes", "5000"))]).unwrap();
        let partition = partition(&survivor);
        append(&partition, &["a"]);

        let changes = [delete("segment.bytes"), set("segment.ms", "7"), set("retention.ms", "8")];
        die_at(&disk, point, 0, |engine| alter(engine, &changes));

        let alive = (partition.config().segment_ms == 7, partition.config().segment_bytes == 5000);
        for (when, engine) in afterwards(&disk, survivor) {
            let given = given(&engine);
            assert!(given == old || given == new, "{point} {when}: {given:?}");
            if when == "alive" {
                assert_eq!(alive, (given == new, given == old), "{point}: what an append obeys");
            }
            alter(&engine, &changes);
            assert_eq!(engine.topics_generation() % 2, 0, "{point} {when}");
            assert_eq!(self::given(&engine), new, "{point} {when}");
        }
    }
}

#[test]
fn a_directorys_settings_whose_change_was_cut_short_are_the_old_ones_or_the_new_ones() {
    let points = [
        "topics.locked",
        "settings.begun",
        "replace.written",
        "replace.synced",
        "replace.renamed",
        "settings.written",
        "topics.told",
    ];
    for point in points {
        let disk = MemDisk::new();
        let survivor = open_mem(&disk);
        alter_directory(&survivor, &[set("num.partitions", "2"), set("log.roll.ms", "3")]);
        let partition = partition(&survivor);

        let changes = [set("num.partitions", "4"), set("log.roll.ms", "5")];
        die_at(&disk, point, 0, |engine| alter_directory(engine, &changes));

        let obeyed = partition.config().segment_ms;
        for (when, engine) in afterwards(&disk, survivor) {
            let found =
                (engine.config().num_partitions, self::partition(&engine).config().segment_ms);
            assert!([(2, 3), (4, 5)].contains(&found), "{point} {when}: {found:?}");
            assert!(when != "alive" || obeyed == found.1, "{point}: {obeyed} and {found:?}");
            alter_directory(&engine, &changes);
            assert_eq!(engine.config().num_partitions, 4, "{point} {when}");
            assert_eq!(self::partition(&engine).config().segment_ms, 5, "{point} {when}");
        }
    }
}

#[test]
fn changes_at_the_same_time_do_not_lose_one_another() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    engine.create_topic(ORDERS, None, &[]).unwrap();
    let names = ["retention.ms", "retention.bytes", "segment.ms", "flush.ms"];
    let directory = ["num.partitions", "log.roll.hours", "message.max.bytes", "log.segment.bytes"];

    std::thread::scope(|scope| {
        for (name, own) in names.into_iter().zip(directory) {
            let engine = open(dir.path());
            scope.spawn(move || {
                for value in 100..110 {
                    alter(&engine, &[set(name, &value.to_string())]);
                    alter_directory(&engine, &[set(own, &value.to_string())]);
                }
            });
        }
    });

    let expected = |names: [&str; 4]| BTreeMap::from(names.map(|it| (it.into(), "109".into())));
    assert_eq!(given(&engine), expected(names));
    assert_eq!(engine.config().given, expected(directory));
    drop(engine);
    assert_eq!(given(&open(dir.path())), expected(names));
}

#[test]
fn a_topic_of_kafkas_own_can_be_altered() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    engine.topic_or_create("__consumer_offsets").unwrap();

    engine.alter_topic("__consumer_offsets", &[set("segment.bytes", "9000")], false).unwrap();

    let topic = engine.topic("__consumer_offsets").unwrap().unwrap();
    assert_eq!(topic.config.segment_bytes, 9000);
    assert!(topic.config.compacted, "what was not named stays");
}

#[test]
fn topics_are_not_made_unasked_where_the_directory_forbids_it() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    alter_directory(&engine, &[set("auto.create.topics.enable", "false")]);

    let refused = engine.topic_or_create(ORDERS);

    assert!(matches!(refused, Err(Error::UnknownTopicOrPartition(_))), "{refused:?}");
    engine.create_topic(ORDERS, None, &[]).unwrap();
    assert!(engine.topic_or_create(ORDERS).is_ok());
    assert!(engine.topic_or_create("__consumer_offsets").is_ok(), "Kafka's own are made");
}

#[test]
fn topics_are_not_deleted_where_the_directory_forbids_it() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    engine.create_topic(ORDERS, None, &[]).unwrap();
    alter_directory(&engine, &[set("delete.topic.enable", "false")]);

    let refused = engine.delete_topic(ORDERS);

    assert!(matches!(refused, Err(Error::TopicDeletionDisabled(_))), "{refused:?}");
    assert!(engine.topic(ORDERS).unwrap().is_some());
}

#[test]
fn a_topic_is_checked_without_being_made() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    engine.create_topic(ORDERS, Some(2), &[]).unwrap();
    let wrong = [("retention.ms".to_owned(), "x".to_owned())];

    assert!(engine.check_topic("new", None, &[]).is_ok());
    assert!(matches!(engine.check_topic("a/b", None, &[]), Err(Error::InvalidTopic(_))));
    assert!(matches!(engine.check_topic("new", Some(0), &[]), Err(Error::InvalidPartitions(_))));
    assert!(matches!(engine.check_topic("new", None, &wrong), Err(Error::InvalidConfig { .. })));
    assert!(matches!(engine.check_topic(ORDERS, None, &[]), Err(Error::TopicAlreadyExists(_))));
    assert!(engine.check_partitions(ORDERS, 3).is_ok());
    assert!(matches!(engine.check_partitions(ORDERS, 2), Err(Error::InvalidPartitions(_))));
    let unknown = engine.check_partitions("new", 2);
    assert!(matches!(unknown, Err(Error::UnknownTopicOrPartition(_))), "{unknown:?}");
    assert_eq!(engine.topics().unwrap().iter().count(), 1);
}

/// A topic with these settings, and its partition.
fn with(engine: &Engine, changes: &[(String, Change)]) -> Arc<Partition> {
    let partition = partition(engine);
    alter(engine, changes);
    partition
}

fn keyed(codec: Compression, keys: &[Option<&[u8]>]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(codec, None);
    for key in keys {
        builder.append(1_000, *key, Some(b"v"), &[]);
    }
    builder.finish().unwrap()
}

#[test]
fn a_compacted_topic_takes_no_batch_with_a_record_without_a_key() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let partition = with(&engine, &[set("cleanup.policy", "compact")]);

    for codec in [Compression::None, Compression::Zstd] {
        let refused = partition.append(&mut keyed(codec, &[Some(b"k"), None]));

        assert!(matches!(refused, Err(Error::KeyRequired(_))), "{refused:?}");
        partition.append(&mut keyed(codec, &[Some(b"k"), Some(b"")])).unwrap();
    }
    alter(&engine, &[set("cleanup.policy", "delete")]);
    partition.append(&mut keyed(Compression::None, &[None])).unwrap();
}

#[test]
fn a_record_far_from_the_clock_is_refused_where_producers_set_the_time() {
    const MINUTE: i64 = 60_000;
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let partition = partition(&engine);
    let now = engine.env().clock.now();
    let send = |timestamps: &[i64]| {
        let mut builder = BatchBuilder::new(Compression::Gzip, None);
        for timestamp in timestamps {
            builder.append(*timestamp, None, Some(b"v"), &[]);
        }
        partition.append(&mut builder.finish().unwrap())
    };
    let is_refused = |timestamps: &[i64]| match send(timestamps) {
        Err(Error::InvalidTimestamp { .. }) => true,
        other => other.map(|_| false).unwrap(),
    };

    assert!(is_refused(&[now, now + 70 * MINUTE]), "an hour ahead by default");
    assert!(!is_refused(&[0, now + 50 * MINUTE]), "as old as it may be");

    alter(&engine, &[set("message.timestamp.before.max.ms", "600000")]);
    assert!(is_refused(&[now - 11 * MINUTE]));
    assert!(is_refused(&[now - 9 * MINUTE, now - 11 * MINUTE, now]));
    assert!(!is_refused(&[now - 9 * MINUTE, -1, now]), "without a time");

    alter(&engine, &[set("message.timestamp.type", "LogAppendTime")]);
    assert!(!is_refused(&[0, now + 70 * MINUTE]));
}

#[test]
fn more_copies_than_there_are_cannot_acknowledge() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let partition = with(&engine, &[set("min.insync.replicas", "2")]);

    let refused = partition.append_for(&mut batch_at(1_000, &["a"]), Durability::Durable);

    assert!(matches!(refused, Err(Error::NotEnoughReplicas { needed: 2, .. })), "{refused:?}");
    assert_eq!(append(&partition, &["a"]), 0, "and was not appended");
}

#[test]
fn jitter_rolls_segments_sooner_and_not_all_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let count = 12;
    engine.create_topic(ORDERS, Some(count), &[("segment.ms".into(), "1000".into())]).unwrap();
    let rolls = |number| {
        let partition = engine.partition(&TopicPartition::new(ORDERS, number)).unwrap();
        append_at(&partition, 10_000);
        append_at(&partition, 10_500);
        let logs = std::fs::read_dir(dir.path().join(format!("orders-{number}"))).unwrap();
        logs.filter(|it| it.as_ref().unwrap().path().extension() == Some("log".as_ref())).count()
    };
    assert_eq!(rolls(0), 1, "without jitter");

    alter(&engine, &[set("segment.jitter.ms", "1000")]);

    let rolled = (1..count).filter(|number| rolls(*number) == 2).count();
    assert!((1..11).contains(&rolled), "{rolled} of 11 were rolled");
}

fn append_at(partition: &Partition, timestamp: i64) {
    partition.append(&mut batch_at(timestamp, &["v"])).unwrap();
}

#[test]
fn a_topics_codec_has_the_topics_level() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let partition = with(&engine, &[set("compression.type", "gzip")]);
    let size = |level: &str| {
        alter(&engine, &[set("compression.gzip.level", level)]);
        let before = partition_size(dir.path());
        let text: Vec<String> = (0..3000).map(|n| (n * n % 1013 * 17).to_string()).collect();
        append(&partition, &[&text.join(" ")]);
        partition_size(dir.path()) - before
    };

    assert!(size("9") < size("1"));
}

fn partition_size(dir: &std::path::Path) -> u64 {
    std::fs::metadata(dir.join("orders-0/00000000000000000000.log")).map_or(0, |it| it.len())
}

#[test]
fn a_level_of_lz4_is_warned_of_once() {
    let disk = MemDisk::new();
    let engine = open_mem(&disk);
    let create = |name, level: &str| {
        let settings = [("compression.lz4.level".to_owned(), level.to_owned())];
        warnings::of(|| engine.create_topic(name, Some(1), &settings).unwrap()).1
    };

    let told = [create("as-ever", "9"), create("other", "3"), create("another", "4")];

    let counts = told.each_ref().map(Vec::len);
    assert_eq!(counts, [0, 1, 0], "{told:?}");
    assert!(told[1][0].contains("compression.lz4.level=3"), "{told:?}");
}
