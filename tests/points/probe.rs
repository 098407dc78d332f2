//! A process that tries every kind of call beside one that was stopped.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use brokerless::engine::{Cursor, Engine, OpenOptions, with_patience};
use brokerless::env::Env;
use brokerless::types::OffsetAndMetadata;
use brokerless::{Error, IsolationLevel, TopicPartition};

use crate::support::{arg, say};
use crate::worker::{ORDERS, PARTITIONS, TABLE, batch, join, orders};

/// How long a call waits for a lock.
const LIMIT: Duration = Duration::from_secs(1);

type Call = (&'static str, fn(&Arc<Engine>, &str) -> Result<(), Error>);

/// Calls that may meet the stopped one.
pub(crate) const CALLS: [Call; 12] = [
    ("append 0", |engine, name| append(engine, name, 0)),
    ("append 1", |engine, name| append(engine, name, 1)),
    ("append 2", |engine, name| append(engine, name, 2)),
    ("sync", |engine, _| {
        let partition = engine.partition(&orders(0))?;
        partition.sync(partition.ends()?.log_end_offset)
    }),
    ("read", |engine, _| (0..PARTITIONS).try_for_each(|number| read(engine, &orders(number)))),
    ("table", |engine, name| {
        let id = TopicPartition::new(TABLE, 0);
        let partition = engine.partition(&id)?;
        partition.append(&mut batch(&[(Some("probe"), format!("probe {name}"))]))?;
        read(engine, &id)
    }),
    ("commit", |engine, name| engine.commit_offsets(name, &commit())),
    ("group", |engine, name| engine.group(&format!("{name}-alone"))?.commit(&commit())),
    ("member", |engine, _| {
        let member = engine.group("g")?.join(join())?;
        member.next()?;
        member.leave()
    }),
    ("topics", |engine, name| {
        engine.topics()?;
        engine.create_topic(&format!("{name}-new"), Some(2), &[])?;
        engine.delete_topic(&format!("{name}-new"))
    }),
    ("upkeep", |engine, _| {
        let now = engine.env().clock.now();
        engine.do_chores(now)?;
        engine.expire_offsets(now)?;
        engine.tend(now)?;
        engine.partition(&TopicPartition::new(TABLE, 0))?.compact(now).map(drop)
    }),
    ("visit", |engine, _| {
        Engine::open(engine.dir(), OpenOptions::default(), Env::system()).map(drop)
    }),
];

/// Makes each call in a thread of its own, and says how it went.
pub(crate) fn prober() {
    let dir = PathBuf::from(arg("dir"));
    let engine = match Engine::open(&dir, OpenOptions::default(), Env::system()) {
        Ok(engine) => engine,
        Err(error) => {
            say(&format!("open: {error}"));
            return;
        }
    };
    let threads = CALLS.map(|(what, call)| {
        let engine = engine.clone();
        thread::spawn(move || match with_patience(LIMIT, || call(&engine, &arg("name"))) {
            Ok(()) => say(&format!("{what}: ok")),
            Err(error @ Error::Timeout { .. }) => say(&format!("{what}: {error}")),
            Err(error) => panic!("{what}: {error}"),
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
    drop(engine);
    say("end");
}

fn append(engine: &Engine, name: &str, number: i32) -> Result<(), Error> {
    let records = [0, 1].map(|n| (None, format!("{name} {n}")));
    engine.partition(&TopicPartition::new(ORDERS, number))?.append(&mut batch(&records))?;
    say(&format!("append {number} 2"));
    Ok(())
}

fn read(engine: &Engine, id: &TopicPartition) -> Result<(), Error> {
    let partition = engine.partition(id)?;
    let mut cursor = Cursor::new(0);
    while !partition.read(&mut cursor, 10_000, IsolationLevel::ReadUncommitted)?.bytes.is_empty() {}
    Ok(())
}

fn commit() -> [(TopicPartition, OffsetAndMetadata); 1] {
    [(orders(0), OffsetAndMetadata { offset: 1, metadata: String::new(), leader_epoch: -1 })]
}
