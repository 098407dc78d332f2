//! The consumer that users have.

use std::sync::Arc;
use std::time::Duration;

use brokerless::client::{self, Polled};
use brokerless::config::{Assignor, ConsumerConfig, OffsetReset};
use brokerless::engine::Engine;
use brokerless::types::OffsetAndMetadata;
use brokerless::{Result, TopicPartition};

use crate::consumer::{Consumer, Settings, Step, UNKNOWN};
use crate::member::GROUP;

pub(crate) struct Client(client::Consumer);

impl Client {
    pub(crate) fn new(engine: Arc<Engine>, settings: Settings) -> Self {
        let config = ConsumerConfig {
            group_id: Some(GROUP.to_owned()),
            group_instance_id: settings.instance,
            session_timeout: settings.session,
            heartbeat_interval: settings.session / 5,
            assignors: vec![Assignor::builtin(&settings.strategy).unwrap()],
            auto_offset_reset: OffsetReset::Earliest,
            enable_auto_commit: false,
            ..ConsumerConfig::default()
        };
        let consumer = client::Consumer::new(engine, config).unwrap();
        consumer.subscribe(&settings.topics).unwrap();
        Self(consumer)
    }
}

impl Consumer for Client {
    fn poll(&mut self, timeout: Duration) -> Result<Step> {
        Ok(match self.0.poll(timeout, 100)? {
            client::Step::Assigned(partitions) => Step::Assigned(partitions),
            client::Step::Revoked(partitions) => Step::Revoked(partitions),
            client::Step::Lost(partitions) => Step::Lost(partitions),
            client::Step::Records(polled) => Step::Records(polled.iter().map(range).collect()),
            client::Step::Interrupted => Step::Records(Vec::new()),
            client::Step::Assign(task) => unreachable!("the strategies are Kafka's: {task:?}"),
        })
    }

    fn commit(&mut self, offsets: &[(TopicPartition, OffsetAndMetadata)]) -> Result<()> {
        self.0.commit(Some(offsets)).map(drop)
    }

    fn generation(&self) -> i32 {
        // One that was taken for dead at once does not know any more.
        self.0.standing().unwrap().map_or(UNKNOWN, |standing| standing.generation)
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.0.close(false)
    }
}

fn range(polled: &Polled) -> (TopicPartition, i64, i64) {
    let first = polled.records().next().unwrap().unwrap().offset;
    (polled.topic_partition().clone(), first, polled.next_offset())
}
