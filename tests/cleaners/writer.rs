//! A process that writes to all topics.

use std::path::Path;
use std::time::Duration;

use brokerless::client::{Outgoing, Producer};
use brokerless::config::ProducerConfig;
use brokerless::types::Durability;

use crate::support::{Deadline, arg, say};
use crate::{TOPICS, open};

/// Records that are sent together.
const BUNCH: u64 = 4;

/// The key of a writer's record: now and then it is one that is not used again.
pub(crate) fn key(writer: &str, number: u64) -> String {
    if number % 8 == 7 { format!("{writer}-u{number}") } else { format!("{writer}-{}", number % 5) }
}

/// Numbers its records; says how far they were delivered.
pub(crate) fn writer() {
    let name = arg("name");
    let config = ProducerConfig { acks: Durability::Written, ..ProducerConfig::default() };
    let producer = Producer::new(open(Path::new(&arg("dir"))), config).unwrap();
    let far = || Some(Deadline::far().left());
    say("ready");
    for first in (0..).step_by(BUNCH as usize) {
        if Path::new(&arg("stop")).exists() {
            break;
        }
        let mut deliveries = Vec::new();
        for number in first..first + BUNCH {
            let (key, value) = (key(&name, number), format!("{name} {number}"));
            for topic in TOPICS {
                let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
                let record =
                    Outgoing { topic, partition: Some(0), key, value, ..Outgoing::default() };
                deliveries.push(producer.send(&record).unwrap());
            }
        }
        for delivery in deliveries {
            delivery.wait(far()).unwrap().unwrap();
        }
        say(&(first + BUNCH - 1).to_string());
        std::thread::sleep(Duration::from_millis(2));
    }
    producer.close(far()).unwrap();
}
