//! A process that does nothing but clean, until it dies.

use std::path::Path;
use std::time::Duration;

use brokerless::Error;

use crate::support::{Dice, arg, say};
use crate::{BOTH, STREAM, TABLE, TOPICS, open, partition};

/// The points at which it dies.
pub(crate) const PLACES: [&str; 20] = [
    "compact.batch",
    "compact.written",
    "compact.begun",
    "swap.staging",
    "swap.staged",
    "swap.removing",
    "swap.removed",
    "swap.renaming",
    "compact.swapped",
    "compact.ended",
    "compact.cleaned",
    "compact.noted",
    "retain.noted",
    "retain.told",
    "retain.started",
    "retain.begun",
    "retain.renaming",
    "retain.buried",
    "retain.removed",
    "retain.round",
];

pub(crate) fn cleaner() {
    let mut dice = Dice::new(arg("seed").parse().unwrap());
    let engine = open(Path::new(&arg("dir")));
    let now = || engine.env().clock.now();
    say("ready");
    loop {
        for topic in TOPICS {
            partition(&engine, topic).retain_if_due(now()).unwrap();
        }
        for topic in [TABLE, BOTH] {
            partition(&engine, topic).compact(now()).unwrap();
        }
        for topic in [STREAM, BOTH] {
            let log = partition(&engine, topic);
            let few = log.ends().unwrap().log_start_offset + dice.below(4) as i64;
            let before = if dice.chance(5) { -1 } else { few };
            match log.delete_records(before) {
                Ok(_) | Err(Error::OffsetOutOfRange { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        engine.tend(now()).unwrap();
        engine.env().clock.pause(Duration::from_millis(1));
    }
}
