//! Whether a directory is what the model says it may be, after the machine or all processes ended.

use std::collections::BTreeMap;

use brokerless::TopicPartition;
use brokerless::engine::{Cursor, Engine};
use brokerless::env::mem::MemDisk;

use crate::model::{Event, FoundLog, Model, Wrong};
use crate::program::{open, read_on};

/// Everything that was found.
pub(crate) type Logs = BTreeMap<TopicPartition, FoundLog>;

/// Opens the directory as a process of that disk, and looks at everything; then that process
/// closes it, or dies.
pub(crate) fn check(
    disk: &MemDisk,
    model: &Model,
    event: Event,
    dies: bool,
) -> Result<Logs, Wrong> {
    let engine = open(disk.env()).map_err(|error| format!("opening: {error}"))?;
    let logs = look(&engine, model, event)?;
    if dies {
        disk.kill();
    }
    Ok(logs)
}

fn look(engine: &Engine, model: &Model, event: Event) -> Result<Logs, Wrong> {
    let mut logs = Logs::new();
    for id in model.partitions() {
        let found = read_all(engine, id).map_err(|error| format!("{id}: {error}"))?;
        model.check_after(event, id, &found)?;
        if model.log(id).compacted {
            model.check_last(id, &found)?;
        }
        logs.insert(id.clone(), found);
    }
    for group in model.groups() {
        let commits =
            engine.committed_offsets(&group).map_err(|error| format!("group {group}: {error}"))?;
        let offset = |id: &TopicPartition| commits.get(id).map(|commit| commit.offset);
        model.check_commits(&group, offset, |id| logs.get(id).map(|log| log.end))?;
    }
    Ok(logs)
}

fn read_all(engine: &Engine, id: &TopicPartition) -> brokerless::Result<FoundLog> {
    let partition = engine.partition(id)?;
    let (mut records, mut cursor) = (Vec::new(), Cursor::new(0));
    let end = partition.ends()?.log_end_offset;
    while cursor.offset() < end {
        let before = cursor.offset();
        records.extend(read_on(&partition, &mut cursor, 4096)?);
        // The model says what is missing then.
        if cursor.offset() == before {
            break;
        }
    }
    Ok(FoundLog { records, end, epoch: partition.leader_epoch()? })
}
