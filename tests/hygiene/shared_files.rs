//! What becomes of a process when the files of its shared memory are cut, removed or replaced.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brokerless::client::{Consumer, Step};
use brokerless::config::ConsumerConfig;
use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::Env;
use brokerless::record::BatchBuilder;
use brokerless::{Compression, Error, TopicPartition};

use crate::support::{Process, arg, say};

const TOPIC: &str = "t";
const CONTROL: &str = ".brokerless-control";

fn open(dir: &Path) -> Arc<Engine> {
    Engine::open(dir, OpenOptions::default(), Env::system()).unwrap()
}

fn append(engine: &Engine) -> Result<i64, Error> {
    let mut builder = BatchBuilder::new(Compression::None, None);
    builder.append(1_000, None, Some(b"value"), &[]);
    let partition = engine.partition(&TopicPartition::new(TOPIC, 0))?;
    Ok(partition.append(&mut builder.finish().unwrap())?.base_offset)
}

fn reader(engine: &Arc<Engine>) -> Consumer {
    let consumer = Consumer::new(engine.clone(), ConsumerConfig::default()).unwrap();
    consumer.assign(&[TopicPartition::new(TOPIC, 0)]).unwrap();
    consumer.seek(&TopicPartition::new(TOPIC, 0), 0).unwrap();
    consumer
}

/// Cuts the control file as somebody from outside would, and goes on.
pub(crate) fn unlucky() {
    let dir = arg("dir");
    let engine = open(Path::new(&dir));
    engine.topic_or_create(TOPIC).unwrap();
    let partition = engine.partition(&TopicPartition::new(TOPIC, 0)).unwrap();
    append(&engine).unwrap();
    let consumer = reader(&engine);
    assert!(
        matches!(consumer.poll(Duration::ZERO, 1), Ok(Step::Records(some)) if !some.is_empty())
    );

    std::fs::write(Path::new(&dir).join(CONTROL), "").unwrap();

    let mut builder = BatchBuilder::new(Compression::None, None);
    builder.append(1_000, None, Some(b"value"), &[]);
    let appended = partition.append(&mut builder.finish().unwrap()).map(drop);
    let polled = consumer.poll(Duration::from_secs(1), 1).map(drop);
    for result in [appended, polled] {
        let text = result.unwrap_err().to_string();
        assert!(text.contains("control was changed from outside: the file was cut"), "{text}");
    }
    say("noticed");
    // Nothing is closed in good order.
    std::process::exit(0);
}

#[test]
fn a_cut_of_the_shared_memory_is_noticed_by_the_next_append_and_poll() {
    let dir = tempfile::tempdir().unwrap();

    let mut process = Process::start("unlucky", &[("dir", dir.path().to_str().unwrap())]);

    assert_eq!(process.hear(), "noticed");
    process.finish();
    let engine = open(dir.path());
    assert_eq!(append(&engine).unwrap(), 1, "the log is as it was");
}

#[test]
fn shared_memory_that_was_removed_or_replaced_serves_those_who_have_it() {
    for replace in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let engine = open(dir.path());
        engine.topic_or_create(TOPIC).unwrap();
        append(&engine).unwrap();
        std::fs::remove_file(dir.path().join(CONTROL)).unwrap();
        if replace {
            std::fs::write(dir.path().join(CONTROL), "other").unwrap();
        }

        assert_eq!(append(&engine).unwrap(), 1);
        drop(engine);

        let engine = open(dir.path());
        assert_eq!(append(&engine).unwrap(), 2);
    }
}

#[test]
fn shared_memory_that_was_left_behind_in_pieces_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    for bytes in [Vec::new(), vec![7], vec![0xff; 100_000]] {
        std::fs::write(dir.path().join(CONTROL), bytes).unwrap();

        let engine = open(dir.path());

        engine.topic_or_create(TOPIC).unwrap();
        append(&engine).unwrap();
    }
}

/// Where the boot id lies in the control file.
const BOOT: std::ops::Range<usize> = 16..24;

#[test]
fn a_directory_that_another_kernel_has_open_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let path = dir.path().join(CONTROL);
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[BOOT].iter_mut().for_each(|byte| *byte ^= 0x5a);
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes[BOOT], BOOT.start as u64).unwrap();

    let second = Engine::open(dir.path(), OpenOptions::default(), Env::system());

    let error = second.unwrap_err();
    assert!(matches!(error, Error::OtherMachine(_)), "{error}");
    assert!(error.to_string().contains("is open on another machine"), "{error}");
    drop(engine);
}
