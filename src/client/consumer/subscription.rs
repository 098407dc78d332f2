//! What a consumer wants to read, and what that comes to with the topics there are.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::engine::{Engine, Topic};
use crate::error::{Error, Result};
use crate::types::{TopicPartition, valid_topic_name};

/// Says whether a topic of that name is wanted.
pub type Pattern = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// How the partitions are chosen.
#[derive(Clone, Default)]
pub(super) enum Subscription {
    #[default]
    None,
    /// All partitions of these topics.
    Topics(BTreeSet<String>),
    /// All partitions of the topics that match, now or later.
    Pattern(Pattern),
    /// These partitions.
    Manual(Vec<TopicPartition>),
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Topics(topics) => f.debug_tuple("Topics").field(topics).finish(),
            Self::Pattern(_) => f.write_str("Pattern"),
            Self::Manual(partitions) => f.debug_tuple("Manual").field(partitions).finish(),
        }
    }
}

/// How missing and internal topics are treated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) create: bool,
    pub(super) exclude_internal: bool,
}

impl Subscription {
    /// Topics by name; refuses names no topic can have.
    pub(super) fn topics(names: &[String]) -> Result<Self> {
        if let Some(name) = names.iter().find(|name| !valid_topic_name(name)) {
            return Err(Error::InvalidTopic(name.clone()));
        }
        Ok(Self::Topics(names.iter().cloned().collect()))
    }

    /// Partitions by name; refuses those no topic can have.
    pub(super) fn manual(partitions: &[TopicPartition]) -> Result<Self> {
        for TopicPartition { topic, partition } in partitions {
            if !valid_topic_name(topic) {
                return Err(Error::InvalidTopic(topic.to_string()));
            }
            if *partition < 0 {
                let what = format!("partition {partition}: a partition is never negative");
                return Err(Error::InvalidArgument(what));
            }
        }
        let unique: BTreeSet<_> = partitions.iter().cloned().collect();
        Ok(Self::Manual(unique.into_iter().collect()))
    }

    /// Whether it may be replaced by `next` without unsubscribing first.
    pub(super) fn check_change(&self, next: &Self) -> Result<()> {
        match (self, next) {
            (Self::None, _)
            | (Self::Topics(_), Self::Topics(_))
            | (Self::Pattern(_), Self::Pattern(_))
            | (Self::Manual(_), Self::Manual(_)) => Ok(()),
            _ => Err(Error::IllegalState(
                "topics, a pattern and assigned partitions exclude each other: unsubscribe first",
            )),
        }
    }

    /// Whether a group shares the partitions out.
    pub(super) fn is_automatic(&self) -> bool {
        matches!(self, Self::Topics(_) | Self::Pattern(_))
    }

    /// The partitions that it comes to now, sorted. Makes topics that are missing, if it may.
    pub(super) fn partitions(&self, engine: &Engine, rules: Rules) -> Result<Vec<TopicPartition>> {
        match self {
            Self::None => Ok(Vec::new()),
            Self::Manual(partitions) => {
                partitions.iter().try_for_each(|id| require(engine, rules, &id.topic).map(drop))?;
                Ok(partitions.clone())
            }
            Self::Topics(names) => {
                let topics = names.iter().map(|name| require(engine, rules, name));
                let topics: Vec<_> = topics.collect::<Result<_>>()?;
                Ok(topics.iter().flatten().flat_map(|topic| all(topic)).collect())
            }
            Self::Pattern(matches) => {
                let topics = engine.topics()?;
                let wanted = |topic: &&Arc<Topic>| {
                    !(topic.internal && rules.exclude_internal) && matches(&topic.name)
                };
                Ok(topics.iter().filter(wanted).flat_map(|topic| all(topic)).collect())
            }
        }
    }
}

fn require(engine: &Engine, rules: Rules, name: &str) -> Result<Option<Arc<Topic>>> {
    if rules.create && engine.config().auto_create_topics {
        return engine.topic_or_create(name).map(Some);
    }
    engine.topic(name)
}

fn all(topic: &Topic) -> impl Iterator<Item = TopicPartition> {
    let name = Arc::clone(&topic.name);
    (0..topic.partition_count()).map(move |partition| TopicPartition::new(name.clone(), partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics() -> Subscription {
        Subscription::topics(&["t".to_owned()]).unwrap()
    }

    fn manual() -> Subscription {
        Subscription::manual(&[TopicPartition::new("t", 0)]).unwrap()
    }

    #[test]
    fn kinds_of_subscription_exclude_each_other() {
        let pattern = Subscription::Pattern(Arc::new(|_| true));
        let kinds = [topics(), pattern, manual()];

        for (i, old) in kinds.iter().enumerate() {
            assert!(Subscription::None.check_change(old).is_ok());
            for (j, new) in kinds.iter().enumerate() {
                assert_eq!(old.check_change(new).is_ok(), i == j, "{old:?} to {new:?}");
            }
        }
    }

    #[test]
    fn names_no_topic_can_have_are_refused() {
        assert!(matches!(Subscription::topics(&["a/b".into()]), Err(Error::InvalidTopic(_))));
        let partition = TopicPartition::new("..", 0);
        assert!(matches!(Subscription::manual(&[partition]), Err(Error::InvalidTopic(_))));
        let partition = TopicPartition::new("t", -1);
        assert!(matches!(Subscription::manual(&[partition]), Err(Error::InvalidArgument(_))));
    }

    #[test]
    fn partitions_named_twice_are_assigned_once() {
        let partition = TopicPartition::new("t", 0);

        let Subscription::Manual(partitions) =
            Subscription::manual(&[partition.clone(), partition.clone()]).unwrap()
        else {
            panic!()
        };

        assert_eq!(partitions, [partition]);
    }
}
