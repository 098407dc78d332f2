//! What `Producer` promises.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brokerless::client::{Around, Delivery, Outgoing, Producer, flush_all};
use brokerless::config::ProducerConfig;
use brokerless::types::Durability;
use brokerless::{Compression, Error, TimestampType};

use crate::shared::{LONG, World, get, value};

fn config() -> ProducerConfig {
    ProducerConfig { acks: Durability::Written, ..ProducerConfig::default() }
}

#[test]
fn a_delivery_says_where_the_record_is() {
    for acks in [Durability::Written, Durability::Durable] {
        let world = World::with_topic("t", 3, &[]);
        let producer = world.producer(ProducerConfig { acks, ..config() });
        let record = Outgoing { partition: Some(1), timestamp: Some(77), ..value("t", b"v") };

        let first = get(&producer.send(&record).unwrap());
        let second = get(&producer.send(&record).unwrap());

        assert_eq!((&*first.topic_partition.topic, first.topic_partition.partition), ("t", 1));
        assert_eq!((first.offset, second.offset), (0, 1));
        assert_eq!((first.timestamp, first.timestamp_type), (77, TimestampType::CreateTime));
        assert_eq!(world.values("t", 1), [b"v", b"v"]);
    }
}

#[test]
fn a_topic_of_log_append_time_sets_the_timestamp() {
    let world = World::with_topic("t", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let producer = world.producer(config());

    let record = Outgoing { timestamp: Some(77), ..value("t", b"v") };
    let metadata = get(&producer.send(&record).unwrap());

    assert_eq!(metadata.timestamp_type, TimestampType::LogAppendTime);
    assert!(metadata.timestamp > 1_600_000_000_000);
}

#[test]
fn a_record_nobody_waits_for_has_no_offset_and_still_arrives() {
    let world = World::with_topic("t", 1, &[]);
    let producer = world.producer(ProducerConfig { acks: Durability::Accepted, ..config() });

    let delivery = producer.send(&value("t", b"v")).unwrap();

    assert!(delivery.is_done());
    assert_eq!(get(&delivery).offset, -1);
    producer.close(LONG).unwrap();
    assert_eq!(world.values("t", 0), [b"v"]);
}

#[test]
fn an_unknown_topic_is_made() {
    let world = World::new();
    let producer = world.producer(config());

    assert!(producer.try_send(&value("new", b"v")).unwrap().is_none());
    get(&producer.send(&value("new", b"v")).unwrap());

    assert_eq!(producer.partitions("new").unwrap(), 1);
    assert!(producer.try_send(&value("new", b"v")).unwrap().is_some());
}

#[test]
fn an_unknown_topic_is_refused_where_none_may_be_made() {
    let world = World::new();
    let producer = world.producer(ProducerConfig { allow_auto_create_topics: false, ..config() });

    let refused = producer.send(&value("new", b"v"));
    assert!(matches!(refused, Err(Error::UnknownTopicOrPartition(_))), "{refused:?}");
    world.engine.create_topic("new", Some(1), &[]).unwrap();

    get(&producer.send(&value("new", b"v")).unwrap());
}

#[test]
fn a_key_decides_the_partition_as_in_java() {
    let world = World::with_topic("t", 7, &[]);
    let producer = world.producer(config());

    for key in [&b"21"[..], b"foobar", b"abc", b""] {
        let record = Outgoing { key: Some(key), ..value("t", b"v") };
        let partition = get(&producer.send(&record).unwrap()).topic_partition.partition;

        assert_eq!(partition, brokerless::client::partitioner::for_key(key, 7));
        assert_eq!(partition, producer.partition_for("t", Some(key)).unwrap());
    }
}

#[test]
fn records_without_a_key_stay_together_for_a_batch_and_then_move() {
    let world = World::with_topic("t", 4, &[]);
    let producer = world.producer(config());
    let bytes = [7; 1_000];

    let sent: Vec<_> = (0..160).map(|_| producer.send(&value("t", &bytes)).unwrap()).collect();
    let partitions: Vec<_> = sent.iter().map(|d| get(d).topic_partition.partition).collect();

    let moves = partitions.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!(moves, 160_000 / 16_384);
}

#[test]
fn wrong_arguments_are_refused_and_the_next_call_works() {
    let world = World::with_topic("t", 2, &[]);
    let producer = world.producer(config());
    let send = |record: Outgoing<'_>| producer.send(&record).map(drop);

    let negative = send(Outgoing { partition: Some(-1), ..value("t", b"v") });
    let beyond = send(Outgoing { partition: Some(2), ..value("t", b"v") });
    let early = send(Outgoing { timestamp: Some(-5), ..value("t", b"v") });
    let path = send(value("../t", b"v"));

    assert!(matches!(negative, Err(Error::InvalidArgument(_))), "{negative:?}");
    assert!(matches!(beyond, Err(Error::InvalidArgument(_))), "{beyond:?}");
    assert!(matches!(early, Err(Error::InvalidArgument(_))), "{early:?}");
    assert!(matches!(path, Err(Error::InvalidTopic(_))), "{path:?}");
    get(&producer.send(&value("t", b"v")).unwrap());
}

#[test]
fn a_record_too_large_is_refused_by_the_limit_it_breaks() {
    let world = World::with_topic("t", 1, &[("max.message.bytes", "1000")]);
    let big = vec![1; 5_000];
    let setting = |config: ProducerConfig| {
        let producer = world.producer(config);
        match producer.send(&value("t", &big)) {
            Err(Error::RecordTooLarge { setting, .. }) => setting,
            other => panic!("{other:?}"),
        }
    };

    assert_eq!(setting(ProducerConfig { max_request_size: 4_000, ..config() }), "max_request_size");
    assert_eq!(setting(ProducerConfig { buffer_memory: 4_000, ..config() }), "buffer_memory");
    assert_eq!(setting(config()), "max.message.bytes");
}

#[test]
fn a_topics_limit_is_kept_to_the_byte() {
    // 61 of the header, 3 + 4 + 1 of the record around 931 bytes of value.
    let world = World::with_topic("t", 1, &[("max.message.bytes", "1001")]);
    let producer = world.producer(config());
    let fits = vec![1; 931];

    get(&producer.send(&value("t", &fits)).unwrap());
    let more = producer.send(&value("t", &[1; 932])).unwrap().wait(LONG).unwrap();

    assert!(matches!(*more.unwrap_err(), Error::RecordTooLarge { .. }));
    assert_eq!(world.values("t", 0), [fits]);
}

#[test]
fn a_batch_that_no_segment_could_hold_is_refused_before_and_after_compression() {
    let world = World::with_topic("t", 1, &[("segment.bytes", "1000")]);
    let mut random = 1_u64;
    let noise: Vec<u8> = (0..5_000).map(|_| next(&mut random)).collect();
    let plain = world.producer(config());
    let packing = world.producer(ProducerConfig { compression: Compression::Zstd, ..config() });

    let before = plain.send(&value("t", &noise)).unwrap_err();
    let after = packing.send(&value("t", &noise)).unwrap().wait(LONG).unwrap().unwrap_err();

    assert!(matches!(before, Error::BatchTooLarge { max: 1000, .. }), "{before:?}");
    assert!(matches!(*after, Error::BatchTooLarge { max: 1000, .. }), "{after:?}");
}

#[test]
fn compression_counts_before_a_topics_limit() {
    let world = World::with_topic("t", 1, &[("max.message.bytes", "1000")]);
    let producer = world.producer(ProducerConfig { compression: Compression::Zstd, ..config() });

    get(&producer.send(&value("t", &vec![1; 50_000])).unwrap());
    let mut random = 1_u64;
    let noise: Vec<u8> = (0..5_000).map(|_| next(&mut random)).collect();
    let result = producer.send(&value("t", &noise)).unwrap().wait(LONG).unwrap();

    assert!(matches!(*result.unwrap_err(), Error::RecordTooLarge { .. }));
}

#[test]
fn many_records_of_any_codec_fit_a_topics_limit() {
    for (compression, limit) in [
        (Compression::Gzip, "max.message.bytes"),
        (Compression::Snappy, "max.message.bytes"),
        (Compression::Lz4, "max.message.bytes"),
        (Compression::Zstd, "segment.bytes"),
        (Compression::None, "segment.bytes"),
    ] {
        let world = World::with_topic("t", 1, &[(limit, "300000")]);
        // Time to fill the batches.
        let (linger, batch_size) = (Duration::from_secs(60), 1 << 20);
        let producer =
            world.producer(ProducerConfig { compression, linger, batch_size, ..config() });
        let mut random = 1_u64;
        let noise: Vec<Vec<u8>> =
            (0..3_000).map(|_| (0..200).map(|_| next(&mut random)).collect()).collect();

        let sent: Vec<_> =
            noise.iter().map(|bytes| producer.send(&value("t", bytes)).unwrap()).collect();

        producer.flush(LONG).unwrap();
        for delivery in &sent {
            get(delivery);
        }
        assert_eq!(world.values("t", 0), noise, "{compression:?}");
    }
}

fn next(random: &mut u64) -> u8 {
    *random =
        random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*random >> 56) as u8
}

#[test]
fn runs_of_values_arrive_like_single_ones() {
    let world = World::with_topic("t", 1, &[("max.message.bytes", "2000")]);
    let producer = world.producer(ProducerConfig { buffer_memory: 10_000, ..config() });
    let all: Vec<Vec<u8>> = (0..3_000_u32).map(|n| vec![n as u8; n as usize % 400]).collect();
    let values: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();

    let (mut rest, mut runs, mut last) = (&values[..], 0, None);
    while let [first, others @ ..] = rest {
        if let Some((count, delivery)) = producer.try_send_run(&value("t", first), rest) {
            (rest, runs, last) = (&rest[count..], runs + 1, Some(delivery));
        } else {
            producer.send(&value("t", first)).unwrap();
            rest = others;
        }
    }
    producer.flush(LONG).unwrap();

    assert!(runs > 0 && last.unwrap().is_done());
    assert_eq!(world.values("t", 0), all);
    let metrics = producer.metrics();
    let available = metrics.iter().find(|(name, _)| *name == "buffer-available-bytes").unwrap();
    assert!((available.1 - 10_000.0).abs() < 0.1, "{available:?}");
}

#[test]
fn a_compacted_topic_takes_no_record_without_a_key() {
    let world = World::with_topic("t", 1, &[("cleanup.policy", "compact")]);
    let producer = world.producer(config());

    let without = producer.send(&value("t", b"v"));
    let with = producer.send(&Outgoing { key: Some(b"k"), ..value("t", b"v") });

    assert!(matches!(without, Err(Error::KeyRequired(_))));
    get(&with.unwrap());
}

#[test]
fn threads_share_a_producer_and_each_keeps_its_order() {
    const EACH: u32 = 5_000;
    for acks in [Durability::Written, Durability::Durable] {
        let world = World::with_topic("t", 2, &[]);
        let producer = world.producer(ProducerConfig { acks, ..config() });

        std::thread::scope(|scope| {
            for thread in 0..8_u32 {
                let producer = &producer;
                scope.spawn(move || {
                    for i in 0..EACH {
                        let bytes = (u64::from(thread) << 32 | u64::from(i)).to_be_bytes();
                        let partition = Some((thread % 2) as i32);
                        let record = Outgoing { partition, ..value("t", &bytes) };
                        let delivery = producer.send(&record).unwrap();
                        if i % 500 == 0 {
                            get(&delivery);
                        }
                    }
                });
            }
        });
        producer.flush(LONG).unwrap();

        for partition in 0..2 {
            let mut next = [0; 8];
            for bytes in world.values("t", partition) {
                let number = u64::from_be_bytes(bytes.try_into().unwrap());
                let (thread, i) = ((number >> 32) as usize, number as u32);
                assert_eq!(i, next[thread]);
                next[thread] += 1;
            }
            assert_eq!(next.iter().filter(|&&count| count == EACH).count(), 4);
        }
    }
}

#[test]
fn dropping_a_producer_loses_nothing() {
    let world = World::with_topic("t", 1, &[]);
    let linger = Duration::from_secs(60);
    let producer = world.producer(ProducerConfig { linger, ..config() });

    let last = (0..10_000).map(|_| producer.send(&value("t", b"v")).unwrap()).last().unwrap();
    drop(producer);

    get(&last);
    assert_eq!(world.values("t", 0).len(), 10_000);
}

#[test]
fn the_end_of_a_process_waits_for_dropped_producers_too() {
    let world = World::with_topic("t", 1, &[]);
    let linger = Duration::from_secs(60);
    let producer = world.producer(ProducerConfig { linger, ..config() });
    let delivery = producer.send(&value("t", b"v")).unwrap();
    drop(producer);

    flush_all(LONG).unwrap();

    assert!(delivery.is_done());
}

#[test]
fn nothing_is_taken_after_close() {
    let world = World::with_topic("t", 1, &[]);
    let producer = world.producer(config());
    let before = producer.send(&value("t", b"v")).unwrap();

    producer.close(LONG).unwrap();

    assert!(before.is_done() && producer.is_closed());
    assert!(matches!(producer.send(&value("t", b"v")), Err(Error::Closed(_))));
    assert!(matches!(producer.try_send(&value("t", b"v")), Err(Error::Closed(_))));
    producer.close(LONG).unwrap();
    producer.flush(LONG).unwrap();
}

#[test]
fn a_flush_does_not_linger() {
    let world = World::with_topic("t", 1, &[]);
    let linger = Duration::from_secs(60);
    let producer = world.producer(ProducerConfig { linger, ..config() });
    let delivery = producer.send(&value("t", b"v")).unwrap();
    assert!(matches!(delivery.wait(Some(Duration::from_millis(20))), Err(Error::Timeout { .. })));

    producer.flush(LONG).unwrap();

    assert!(delivery.is_done());
}

#[test]
fn a_batch_is_sent_when_it_lingered_or_is_full() {
    let world = World::with_topic("t", 1, &[]);
    let linger = Duration::from_millis(30);
    let producer = world.producer(ProducerConfig { linger, ..config() });
    let lingering = producer.send(&value("t", b"v")).unwrap();
    get(&lingering);

    let linger = Duration::from_secs(60);
    let patient = world.producer(ProducerConfig { linger, ..config() });
    let full: Vec<_> = (0..20).map(|_| patient.send(&value("t", &[1; 1_000])).unwrap()).collect();

    get(&full[0]);
}

#[test]
fn memory_is_bounded_and_waited_for() {
    let world = World::with_topic("t", 1, &[]);
    let linger = Duration::from_secs(60);
    let bounded = ProducerConfig { linger, buffer_memory: 4_000, ..config() };
    let producer = world.producer(bounded);
    let bytes = [1; 900];

    let mut sent: Vec<_> = Vec::new();
    while let Some(delivery) = producer
        .try_send(&value("t", &bytes))
        .unwrap()
        .or_else(|| sent.is_empty().then(|| producer.send(&value("t", &bytes)).unwrap()))
    {
        sent.push(delivery);
    }
    assert!((3..=4).contains(&sent.len()), "{}", sent.len());
    // Who waits for memory makes the sender hurry.
    let waited = producer.send(&value("t", &bytes)).unwrap();

    get(&sent[0]);
    producer.flush(LONG).unwrap();
    assert!(waited.is_done() && sent.iter().all(Delivery::is_done));
    let values = producer.metrics();
    let available = values.iter().find(|(name, _)| *name == "buffer-available-bytes").unwrap();
    assert!((available.1 - 4_000.0).abs() < 0.1, "{available:?}");
}

thread_local! {
    /// Whether this thread just adds a callback.
    static ADDS: Cell<bool> = const { Cell::new(false) };
}

#[test]
fn callbacks_run_once_in_the_order_of_sending() {
    let world = World::with_topic("t", 1, &[]);
    let producer = world.producer(config());
    let seen = Arc::new(Mutex::new(Vec::new()));

    for _ in 0..2_000 {
        let delivery = producer.send(&value("t", b"v")).unwrap();
        let seen = Arc::clone(&seen);
        ADDS.set(true);
        delivery.on_done(Box::new(move |result| {
            seen.lock().unwrap().push((ADDS.get(), result.as_ref().unwrap().offset));
        }));
        ADDS.set(false);
    }
    producer.flush(LONG).unwrap();

    // One that is added when its batch has completed runs at once, maybe before others.
    let (late, in_turn): (Vec<_>, Vec<_>) =
        seen.lock().unwrap().iter().copied().partition(|(is_late, _)| *is_late);
    assert!(in_turn.is_sorted(), "{in_turn:?}");
    let mut offsets: Vec<_> = in_turn.into_iter().chain(late).map(|(_, offset)| offset).collect();
    offsets.sort_unstable();
    assert!((0..2_000).eq(offsets));
}

#[test]
fn the_callbacks_of_batches_that_complete_together_run_in_one_call() {
    let world = World::with_topic("t", 3, &[]);
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let around: Around = Arc::new(move |run| {
        counter.fetch_add(1, Ordering::SeqCst);
        run();
        run();
    });
    let linger = Duration::from_secs(60);
    let config = ProducerConfig { linger, ..config() };
    let producer = Producer::with_around(world.engine.clone(), config, around).unwrap();
    let seen = Arc::new(AtomicUsize::new(0));

    let sent: Vec<_> = (0..30)
        .map(|number| {
            let record = Outgoing { partition: Some(number % 3), ..value("t", b"v") };
            let delivery = producer.send(&record).unwrap();
            let seen = Arc::clone(&seen);
            delivery.on_done(Box::new(move |_| {
                seen.fetch_add(1, Ordering::SeqCst);
            }));
            delivery
        })
        .collect();
    producer.flush(LONG).unwrap();

    assert!(sent[0].same_batch(&sent[3]) && !sent[0].same_batch(&sent[1]));
    assert_eq!(seen.load(Ordering::SeqCst), 30);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_callback_may_send_and_close_but_not_flush() {
    let world = World::with_topic("t", 1, &[]);
    let producer = Arc::new(world.producer(config()));
    let flushed = Arc::new(Mutex::new(None));
    let delivery = producer.send(&value("t", b"1")).unwrap();

    let (inner, outcome) = (Arc::clone(&producer), Arc::clone(&flushed));
    let linger = delivery.clone();
    delivery.on_done(Box::new(move |_| {
        let own = linger.wait(None).is_ok();
        let sent = inner.send(&value("t", b"2")).is_ok();
        let flush = inner.flush(None);
        *outcome.lock().unwrap() = Some((own, sent, matches!(flush, Err(Error::IllegalState(_)))));
    }));
    producer.flush(LONG).unwrap();
    producer.close(LONG).unwrap();

    let ran_late = *flushed.lock().unwrap();
    // Run in this thread, because the batch was done already, it may flush.
    assert!(matches!(ran_late, Some((true, true, _))), "{ran_late:?}");
    assert_eq!(world.values("t", 0), [b"1", b"2"]);
}

#[test]
fn a_panic_in_a_callback_harms_no_other() {
    let world = World::with_topic("t", 1, &[]);
    let linger = Duration::from_millis(50);
    let producer = world.producer(ProducerConfig { linger, ..config() });
    let count = Arc::new(AtomicUsize::new(0));

    let first = producer.send(&value("t", b"v")).unwrap();
    first.on_done(Box::new(|_| panic!("a user's mistake")));
    let second = producer.send(&value("t", b"v")).unwrap();
    let counter = Arc::clone(&count);
    second.on_done(Box::new(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    }));
    producer.flush(LONG).unwrap();

    assert_eq!(count.load(Ordering::SeqCst), 1);
    get(&producer.send(&value("t", b"v")).unwrap());
}

#[test]
fn more_partitions_are_used_without_a_restart() {
    let world = World::with_topic("t", 1, &[]);
    let producer = world.producer(config());
    get(&producer.send(&value("t", b"v")).unwrap());

    world.engine.create_partitions("t", 3).unwrap();
    let record = Outgoing { partition: Some(2), ..value("t", b"v") };

    assert_eq!(get(&producer.send(&record).unwrap()).topic_partition.partition, 2);
    assert_eq!(producer.partitions("t").unwrap(), 3);
}

#[test]
fn a_topic_made_anew_takes_the_next_record() {
    let world = World::with_topic("t", 1, &[]);
    let producer = world.producer(config());
    get(&producer.send(&value("t", b"old")).unwrap());

    world.engine.delete_topic("t").unwrap();
    let metadata = get(&producer.send(&value("t", b"new")).unwrap());

    assert_eq!(metadata.offset, 0);
    assert_eq!(world.values("t", 0), [b"new"]);
}

#[test]
fn headers_and_nulls_arrive() {
    let world = World::with_topic("t", 1, &[]);
    let producer = world.producer(config());
    let headers = [("a", Some(&b"1"[..])), ("a", None)];
    let record = Outgoing { topic: "t", key: Some(b"k"), headers: &headers, ..Outgoing::default() };

    get(&producer.send(&record).unwrap());

    assert_eq!(world.records("t", 0), [(Some(b"k".to_vec()), Vec::new())]);
}

#[test]
fn the_topic_of_committed_offsets_is_not_for_producers() {
    let world = World::with_topic("t", 1, &[]);
    let producer = world.producer(config());

    for topic in ["__consumer_offsets", "__transaction_state"] {
        let refused = producer.send(&value(topic, b"v"));
        assert!(matches!(refused, Err(Error::InternalTopic(_))), "{refused:?}");
    }
    get(&producer.send(&value("t", b"v")).unwrap());
}
