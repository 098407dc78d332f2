//! Settings of groups. Kafka's are for protocols that are newer than that of the groups here, which
//! have none: what their members want, they say when they join.

use crate::config::setting::{Described, Kind, Source};

/// Kafka's names, their types and defaults.
const SETTINGS: [(&str, Kind, &str); 17] = [
    ("consumer.assignment.interval.ms", Kind::Int, "1000"),
    ("consumer.heartbeat.interval.ms", Kind::Int, "5000"),
    ("consumer.session.timeout.ms", Kind::Int, "45000"),
    ("share.assignment.interval.ms", Kind::Int, "1000"),
    ("share.auto.offset.reset", Kind::String, "latest"),
    ("share.delivery.count.limit", Kind::Int, "5"),
    ("share.heartbeat.interval.ms", Kind::Int, "5000"),
    ("share.isolation.level", Kind::String, "read_uncommitted"),
    ("share.partition.max.record.locks", Kind::Int, "2000"),
    ("share.record.lock.duration.ms", Kind::Int, "30000"),
    ("share.renew.acknowledge.enable", Kind::Boolean, "true"),
    ("share.session.timeout.ms", Kind::Int, "45000"),
    ("streams.assignment.interval.ms", Kind::Int, "1000"),
    ("streams.heartbeat.interval.ms", Kind::Int, "5000"),
    ("streams.initial.rebalance.delay.ms", Kind::Int, "3000"),
    ("streams.num.standby.replicas", Kind::Int, "0"),
    ("streams.session.timeout.ms", Kind::Int, "45000"),
];

const CONSUMER: &str = "Of groups with the protocol of KIP-848, of which there are none here.";
const SHARE: &str = "Of share groups (KIP-932), of which there are none here.";
const STREAMS: &str = "Of streams groups (KIP-1071), of which there are none here.";

/// Every setting that a broker names, with its default: none can be altered.
pub fn describe() -> Vec<Described> {
    SETTINGS.iter().map(|(name, kind, default)| describe_one(name, *kind, default)).collect()
}

fn describe_one(name: &'static str, kind: Kind, default: &str) -> Described {
    let documentation = match name.split('.').next() {
        Some("consumer") => CONSUMER,
        Some("share") => SHARE,
        _ => STREAMS,
    };
    Described {
        name,
        value: Some(default.to_owned()),
        source: Source::Default,
        kind,
        synonyms: Vec::new(),
        documentation,
        read_only: true,
        sensitive: false,
    }
}
