//! Settings of topics and of the directory, as producers and consumers meet them.

use brokerless::client::Outgoing;
use brokerless::config::{Change, ProducerConfig};
use brokerless::types::Durability;
use brokerless::{Compression, Error};

use crate::shared::{LONG, SECOND, World, earliest, get, topics, value};

fn config() -> ProducerConfig {
    ProducerConfig { acks: Durability::Written, ..ProducerConfig::default() }
}

fn set(name: &str, value: &str) -> [(String, Change); 1] {
    [(name.to_owned(), Change::Set(value.to_owned()))]
}

fn alter(world: &World, name: &str, value: &str) {
    world.engine.alter_topic("t", &set(name, value), false).unwrap();
}

#[test]
fn a_producer_obeys_what_is_altered_while_it_sends() {
    let world = World::with_topic("t", 1, &[]);
    let producer = world.producer(config());
    get(&producer.send(&value("t", b"v")).unwrap());

    alter(&world, "cleanup.policy", "compact");
    let refused = producer.send(&value("t", b"v"));
    assert!(matches!(refused, Err(Error::KeyRequired(_))), "{refused:?}");

    alter(&world, "cleanup.policy", "delete");
    get(&producer.send(&value("t", b"v")).unwrap());

    world.engine.alter_directory(&set("message.max.bytes", "100"), false).unwrap();
    let refused = producer.send(&value("t", &[7; 200]));
    assert!(
        matches!(refused, Err(Error::RecordTooLarge { setting: "max.message.bytes", .. })),
        "{refused:?}"
    );
    assert_eq!(world.values("t", 0), [b"v", b"v"]);
}

#[test]
fn a_topics_codec_is_of_the_topics_level_unless_the_producer_has_it_too() {
    let numbers: Vec<String> = (0..4000u32).map(|n| (n * n % 7919).to_string()).collect();
    let text = numbers.join(" ");
    let size = |level: &str, compression, compression_level| {
        let world = World::with_topic("t", 1, &[("compression.type", "gzip")]);
        alter(&world, "compression.gzip.level", level);
        let own = ProducerConfig { compression, compression_level, ..config() };
        get(&world.producer(own).send(&value("t", text.as_bytes())).unwrap());
        let log = world.path().join("t-0/00000000000000000000.log");
        std::fs::metadata(log).unwrap().len()
    };

    assert!(size("9", Compression::None, None) < size("1", Compression::None, None));
    let own = size("1", Compression::Gzip, Some(9));
    assert_eq!(own, size("9", Compression::Gzip, Some(9)), "as it came");
    assert!(own < size("1", Compression::None, None));
}

#[test]
fn records_far_ahead_of_the_clock_fail_alone() {
    let world = World::with_topic("t", 1, &[]);
    let producer = world.producer(config());
    let ahead = world.engine.env().clock.now() + 2 * 60 * 60 * 1000;

    let first = producer.send(&value("t", b"v")).unwrap();
    let refused = producer.send(&Outgoing { timestamp: Some(ahead), ..value("t", b"late") });
    let last = producer.send(&value("t", b"w")).unwrap();

    let error = refused.unwrap_err();
    assert!(matches!(error, Error::InvalidTimestamp { timestamp, .. } if timestamp == ahead));
    get(&first);
    get(&last);
    assert_eq!(world.values("t", 0), [b"v", b"w"]);
}

#[test]
fn a_run_of_values_with_such_a_timestamp_is_not_begun() {
    let world = World::with_topic("t", 1, &[]);
    let producer = world.producer(config());
    let ahead = world.engine.env().clock.now() + 2 * 60 * 60 * 1000;
    let first = producer.send(&value("t", b"v")).unwrap();

    let late = Outgoing { timestamp: Some(ahead), ..value("t", b"") };
    let run = producer.try_send_run(&late, &[b"late"]);

    assert!(run.is_none());
    get(&first);
}

#[test]
fn a_record_can_be_sent_without_a_timestamp() {
    let world = World::with_topic("t", 1, &[("message.timestamp.before.max.ms", "1000")]);
    let producer = world.producer(config());

    let sent = producer.send(&Outgoing { timestamp: Some(-1), ..value("t", b"v") });

    assert_eq!(get(&sent.unwrap()).timestamp, -1);
}

#[test]
fn more_copies_than_there_are_are_refused_to_those_who_wait_for_them() {
    let world = World::with_topic("t", 1, &[("min.insync.replicas", "2")]);

    for (acks, is_taken) in [(Durability::Durable, false), (Durability::Written, true)] {
        let producer = world.producer(ProducerConfig { acks, ..config() });
        let answer = producer.send(&value("t", b"v")).unwrap().wait(LONG).unwrap();

        match answer {
            Ok(_) => assert!(is_taken),
            Err(error) => {
                assert!(matches!(*error, Error::NotEnoughReplicas { needed: 2, .. }), "{error}");
                assert!(!is_taken);
            }
        }
    }
    assert_eq!(world.values("t", 0), [b"v"]);
}

#[test]
fn a_missing_topic_is_refused_or_waited_for_where_the_directory_makes_none() {
    let world = World::with_properties("auto.create.topics.enable=false");
    let refused = world.producer(config()).send(&value("late", b"v"));
    assert!(matches!(refused, Err(Error::UnknownTopicOrPartition(_))), "{refused:?}");
    let waiting = world.consumer(earliest());
    waiting.0.subscribe(&topics(&["late"])).unwrap();
    assert_eq!(waiting.poll_now(), []);
    assert_eq!(world.engine.topics().unwrap().iter().count(), 0);

    world.engine.create_topic("late", None, &[]).unwrap();
    world.fill("late", 0, [5]);

    assert_eq!(waiting.poll(SECOND, 500), [(0, 0, 5)]);
}
