//! A consumer on the engine alone: what the client does with a membership, in its plainest form. It
//! hears of no death, so this is the way without process descriptors.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use brokerless::coord::group::{Gone, Member, Next, Strategy};
use brokerless::engine::{Cursor, Engine, Group, Join, Membership, Partition};
use brokerless::record::BatchInfo;
use brokerless::types::OffsetAndMetadata;
use brokerless::{Error, IsolationLevel, Result, TopicPartition};

use crate::consumer::{Consumer, Settings, Step, UNKNOWN};
use crate::member::GROUP;

/// Between two looks at the group or at what was appended.
const PAUSE: Duration = Duration::from_millis(2);

pub(crate) struct Bare {
    engine: Arc<Engine>,
    group: Arc<Group>,
    settings: Settings,
    membership: Option<Arc<Membership>>,
    /// The same, for the thread that shows signs of life.
    alive: Arc<Mutex<Option<Arc<Membership>>>>,
    upkeep: Option<JoinHandle<()>>,
    closed: Arc<AtomicBool>,
    reading: BTreeMap<TopicPartition, (Arc<Partition>, Cursor)>,
    /// What was announced to go.
    going: Option<Vec<TopicPartition>>,
}

impl Bare {
    pub(crate) fn new(engine: Arc<Engine>, settings: Settings) -> Self {
        let group = engine.group(GROUP).unwrap();
        let (alive, closed) = (Arc::default(), Arc::default());
        let upkeep = upkeep(&engine, &group, &settings, &alive, &closed);
        Self {
            engine,
            group,
            settings,
            membership: None,
            alive,
            upkeep: Some(upkeep),
            closed,
            reading: BTreeMap::new(),
            going: None,
        }
    }

    fn join(&mut self) -> Result<Arc<Membership>> {
        if let Some(membership) = &self.membership {
            return Ok(membership.clone());
        }
        let Settings { strategy, topics, instance, session } = &self.settings;
        let strategy = Strategy { name: (*strategy).clone(), own: false, user_data: Vec::new() };
        let membership = Arc::new(self.group.join(Join {
            client_id: "bare".into(),
            instance_id: instance.clone(),
            topics: topics.clone(),
            cooperative: strategy.name.starts_with("cooperative"),
            strategies: vec![strategy],
            session_timeout: *session,
            rebalance_timeout: Duration::from_secs(60),
        })?);
        self.have(Some(membership.clone()));
        Ok(membership)
    }

    fn have(&mut self, membership: Option<Arc<Membership>>) {
        self.membership.clone_from(&membership);
        *self.alive.lock().unwrap_or_else(PoisonError::into_inner) = membership;
    }

    /// One thing, if there is one to do.
    fn turn(&mut self) -> Result<Option<Step>> {
        let membership = self.join()?;
        if let Some(going) = &self.going {
            membership.release(going)?;
            self.going = None;
        }
        match membership.next()? {
            Next::Release(partitions) if partitions.is_empty() => {
                membership.release(&partitions)?;
                Ok(None)
            }
            Next::Release(partitions) => {
                self.reading.retain(|partition, _| !partitions.contains(partition));
                self.going = Some(partitions.clone());
                Ok(Some(Step::Revoked(partitions)))
            }
            Next::Take(_) => {
                let taken = membership.take()?.unwrap_or_default();
                self.begin(&taken)?;
                Ok((!taken.is_empty()).then_some(Step::Assigned(taken)))
            }
            Next::Gone(Gone::Fenced(instance)) => {
                Err(Error::FencedInstanceId { group: GROUP.into(), instance })
            }
            Next::Gone(Gone::Evicted) => {
                self.have(None);
                let lost = std::mem::take(&mut self.reading).into_keys().collect::<Vec<_>>();
                Ok((!lost.is_empty()).then_some(Step::Lost(lost)))
            }
            Next::Assign(_) => unreachable!("the strategies are Kafka's"),
            _ => self.read(),
        }
    }

    fn begin(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        let committed = self.engine.committed_offsets(GROUP)?;
        for id in partitions {
            let offset = committed.get(id).map_or(0, |commit| commit.offset);
            let reading = (self.engine.partition(id)?, Cursor::new(offset));
            self.reading.insert(id.clone(), reading);
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Option<Step>> {
        let mut found = Vec::new();
        for (id, (partition, cursor)) in &mut self.reading {
            let from = cursor.offset();
            let bytes = partition.read(cursor, 4_000, IsolationLevel::ReadUncommitted)?.bytes;
            if !bytes.is_empty() {
                BatchInfo::parse(&bytes).unwrap();
                found.push((id.clone(), from, cursor.offset()));
            }
        }
        Ok((!found.is_empty()).then_some(Step::Records(found)))
    }
}

impl Consumer for Bare {
    fn poll(&mut self, timeout: Duration) -> Result<Step> {
        let end = std::time::Instant::now() + timeout;
        loop {
            match self.turn() {
                Ok(Some(step)) => return Ok(step),
                // The group's lock may be held by one that was stopped.
                Ok(None) | Err(Error::Timeout { .. }) => {}
                Err(error) => return Err(error),
            }
            if std::time::Instant::now() >= end {
                return Ok(Step::Records(Vec::new()));
            }
            thread::sleep(PAUSE);
        }
    }

    fn commit(&mut self, offsets: &[(TopicPartition, OffsetAndMetadata)]) -> Result<()> {
        let nobody = || Error::CommitFailed { group: GROUP.into(), why: "it is no member" };
        self.membership.as_ref().ok_or_else(nobody)?.commit(offsets)
    }

    fn generation(&self) -> i32 {
        let membership = self.membership.as_ref().expect("who was assigned something is a member");
        let state = self.group.state().unwrap();
        state.member(membership.uid()).map_or(UNKNOWN, Member::generation)
    }

    fn close(mut self: Box<Self>) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        self.upkeep.take().map(JoinHandle::join).transpose().unwrap();
        self.have(None);
        Ok(())
    }
}

/// Shows that the process runs, and takes out those that do not.
fn upkeep(
    engine: &Arc<Engine>,
    group: &Arc<Group>,
    settings: &Settings,
    alive: &Arc<Mutex<Option<Arc<Membership>>>>,
    closed: &Arc<AtomicBool>,
) -> JoinHandle<()> {
    let (engine, group) = (engine.clone(), group.clone());
    let (alive, closed) = (alive.clone(), closed.clone());
    let pause = (settings.session / 10).min(Duration::from_millis(100));
    thread::spawn(move || {
        while !closed.load(Ordering::Acquire) {
            if let Some(membership) = &*alive.lock().unwrap_or_else(PoisonError::into_inner) {
                membership.beat();
            }
            match group.sweep(engine.env().clock.monotonic()) {
                Ok(_) | Err(Error::Timeout { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            thread::sleep(pause);
        }
    })
}
