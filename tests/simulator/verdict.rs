//! Whether a directory is what the model says it may be, after the machine or all processes ended.

use std::collections::BTreeMap;

use brokerless::TopicPartition;
use brokerless::engine::{Cursor, Engine};
use brokerless::env::mem::MemDisk;

use crate::model::{Event, FoundLog, Model, Place, Wrong};
use crate::program::{open, read_on};
use crate::topics::Found;

/// Everything that was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) topics: BTreeMap<String, Option<Found>>,
    pub(crate) logs: BTreeMap<Place, FoundLog>,
}

/// Opens the directory as a process of that disk, and looks at everything; then that process
/// closes it, or dies.
pub(crate) fn check(
    disk: &MemDisk,
    model: &Model,
    event: Event,
    dies: bool,
) -> Result<State, Wrong> {
    let engine = open(disk.env()).map_err(|error| format!("opening: {error}"))?;
    let state = look(&engine, model, event)?;
    if dies {
        disk.kill();
    }
    Ok(state)
}

fn look(engine: &Engine, model: &Model, event: Event) -> Result<State, Wrong> {
    let mut state = State::default();
    for name in model.topics.names() {
        look_at_topic(engine, model, event, name, &mut state)?;
    }
    for group in model.groups() {
        let commits =
            engine.committed_offsets(&group).map_err(|error| format!("group {group}: {error}"))?;
        let offset = |id: &TopicPartition| commits.get(id).map(|commit| commit.offset);
        let end = |place: &Place| state.logs.get(place).map(|log| log.end);
        model.check_commits(&group, state.logs.keys(), &model.told(&group), offset, end)?;
    }
    Ok(state)
}

fn look_at_topic(
    engine: &Engine,
    model: &Model,
    event: Event,
    name: &str,
    state: &mut State,
) -> Result<(), Wrong> {
    let now = model.topics.now();
    let topic = engine.topic(name).map_err(|error| format!("{name}: {error}"))?;
    let found = topic.as_deref().map(Found::of);
    state.topics.insert(name.to_owned(), found.clone());
    let Some(found) = found else { return model.topics.miss(event, name, now) };
    let life = model.topics.identify(event, name, &found, now)?;
    for number in 0..found.partitions {
        let place = Place { life, id: TopicPartition::new(name, number) };
        let log = read_all(engine, &place.id).map_err(|error| format!("{place}: {error}"))?;
        model.check_after(event, &place, &log)?;
        if model.log(&place).policy.compacts() {
            model.check_last(&place, &log)?;
        }
        state.logs.insert(place, log);
    }
    Ok(())
}

fn read_all(engine: &Engine, id: &TopicPartition) -> brokerless::Result<FoundLog> {
    let partition = engine.partition(id)?;
    let ends = partition.ends()?;
    let (start, end) = (ends.log_start_offset, ends.log_end_offset);
    let (mut records, mut cursor) = (Vec::new(), Cursor::new(start));
    while cursor.offset() < end {
        let before = cursor.offset();
        records.extend(read_on(&partition, &mut cursor, 4096)?);
        // The model says what is missing then.
        if cursor.offset() == before {
            break;
        }
    }
    Ok(FoundLog { records, start, end, epoch: partition.leader_epoch()? })
}
