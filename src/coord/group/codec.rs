//! The state as bytes, for the other processes of this machine: never older or newer than the
//! processes that share it.
//!
//! Numbers are little-endian, a list is its length `u32` and its items, a string is the list of
//! its bytes. Partitions are grouped by topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Member, Process, State, Strategy, Target, Uid};
use crate::types::TopicPartition;

/// The layout's version, first of all bytes.
const LAYOUT: u32 = 2;

impl State {
    /// The state as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer(Vec::new());
        out.u32(LAYOUT);
        out.i32(self.generation);
        out.u32(self.assigned.into());
        out.optional(self.strategy.as_deref());
        out.u64(self.last_uid);
        out.list(&self.members, |out, (uid, member)| {
            out.u64(*uid);
            member.encode(out);
        });
        let mut owned = BTreeMap::<Uid, Vec<TopicPartition>>::new();
        for (partition, uid) in &self.owners {
            owned.entry(*uid).or_default().push(partition.clone());
        }
        out.list(&owned, |out, (uid, partitions)| {
            out.u64(*uid);
            out.partitions(partitions);
        });
        out.list(&self.counts, |out, (topic, count)| {
            out.text(topic);
            out.i32(*count);
        });
        out.0
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` if the bytes are anything else.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader(bytes);
        if rest.u32()? != LAYOUT {
            return None;
        }
        let generation = rest.i32()?;
        let assigned = rest.u32()? != 0;
        let mut strategy = None;
        rest.optional(&mut strategy)?;
        let last_uid = rest.u64()?;
        let members = rest.list(|rest| Some((rest.u64()?, Member::decode(rest)?)))?;
        let owned = rest.list(|rest| Some((rest.u64()?, rest.partitions()?)))?;
        let counts = rest.list(|rest| Some((rest.text()?, rest.i32()?)))?;
        let owners = owned
            .into_iter()
            .flat_map(|(uid, partitions)| partitions.into_iter().map(move |id| (id, uid)))
            .collect();
        let members = members.into_iter().collect();
        let counts = counts.into_iter().collect();
        let state = Self { generation, strategy, assigned, last_uid, members, owners, counts };
        rest.0.is_empty().then_some(state)
    }
}

impl Member {
    fn encode(&self, out: &mut Writer) {
        out.text(&self.member_id);
        out.text(&self.client_id);
        out.optional(self.instance_id.as_deref());
        out.u32(self.process.pid);
        out.u64(self.process.namespace);
        out.u32(self.slot);
        out.u64(self.bell);
        out.list(&self.topics, |out, topic| out.text(topic));
        out.list(&self.strategies, |out, strategy| {
            out.text(&strategy.name);
            out.u32(strategy.own.into());
            out.bytes(&strategy.user_data);
        });
        out.u32(self.cooperative.into());
        out.duration(self.session_timeout);
        out.duration(self.rebalance_timeout);
        out.partitions(&self.target.partitions);
        out.bytes(&self.target.user_data);
        out.i32(self.acknowledged);
        out.i32(self.taken);
        out.partitions(&self.held);
        out.i32(self.held_generation);
    }

    fn decode(rest: &mut Reader<'_>) -> Option<Self> {
        let (member_id, client_id) = (rest.text()?, rest.text()?);
        let mut instance_id = None;
        rest.optional(&mut instance_id)?;
        Some(Self {
            member_id,
            client_id,
            instance_id,
            process: Process { pid: rest.u32()?, namespace: rest.u64()? },
            slot: rest.u32()?,
            bell: rest.u64()?,
            topics: rest.list(Reader::text)?,
            strategies: rest.list(|rest| {
                let (name, own) = (rest.text()?, rest.u32()? != 0);
                Some(Strategy { name, own, user_data: rest.bytes()?.to_vec() })
            })?,
            cooperative: rest.u32()? != 0,
            session_timeout: rest.duration()?,
            rebalance_timeout: rest.duration()?,
            target: Target { partitions: rest.partitions()?, user_data: rest.bytes()?.to_vec() },
            acknowledged: rest.i32()?,
            taken: rest.i32()?,
            held: rest.partitions()?,
            held_generation: rest.i32()?,
        })
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn duration(&mut self, value: Duration) {
        self.u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX));
    }

    fn len(&mut self, len: usize) {
        self.u32(u32::try_from(len).expect("a group's state is far below 4 GiB"));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        self.u32(text.is_some().into());
        self.text(text.unwrap_or_default());
    }

    fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        write: impl Fn(&mut Self, T),
    ) {
        let items = items.into_iter();
        self.len(items.len());
        items.for_each(|item| write(self, item));
    }

    fn partitions(&mut self, partitions: &[TopicPartition]) {
        let topics: Vec<_> = partitions.chunk_by(|a, b| a.topic == b.topic).collect();
        self.list(topics, |out, topic| {
            out.text(&topic[0].topic);
            out.list(topic, |out, id| out.i32(id.partition));
        });
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn duration(&mut self) -> Option<Duration> {
        self.u64().map(Duration::from_millis)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u32()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn optional(&mut self, into: &mut Option<String>) -> Option<()> {
        let some = self.u32()? != 0;
        let text = self.text()?;
        *into = some.then_some(text);
        Some(())
    }

    /// Nothing is allocated by a length that was only read: each item takes bytes.
    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let len = self.u32()?;
        let mut items = Vec::new();
        for _ in 0..len {
            items.push(read(self)?);
        }
        Some(items)
    }

    fn partitions(&mut self) -> Option<Vec<TopicPartition>> {
        let topics = self.list(|rest| {
            let topic: Arc<str> = rest.text()?.into();
            let numbers = rest.list(Self::i32)?;
            Some(numbers.into_iter().map(move |number| TopicPartition::new(topic.clone(), number)))
        })?;
        Some(topics.into_iter().flatten().collect())
    }
}
