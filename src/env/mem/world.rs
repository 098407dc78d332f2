//! Everything on the machine: nodes (files and folders), locks, processes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Component, Path};

use super::content::Content;
use super::faults::{Call, Faults};
use super::locks::{HandleId, Locks};
use super::names::Names;
use super::power::Loss;
use crate::env::Entry;
use crate::types::Timestamp;

/// What an inode number is on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(pub(super) u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ProcessId(u64);

const ROOT: NodeId = NodeId(1);

#[derive(Debug)]
pub(super) enum Node {
    File(Content),
    Folder(Names),
}

#[derive(Debug)]
pub(super) struct World {
    nodes: BTreeMap<NodeId, Node>,
    pub(super) locks: Locks,
    /// The living; the failures of the dead stay, for who asks.
    processes: HashSet<ProcessId>,
    faults: HashMap<ProcessId, Faults>,
    pub(super) network: Option<&'static str>,
    /// Grows with every start of the machine.
    pub(super) boot: u64,
    /// Wall-clock time of the current call.
    pub(super) time: Timestamp,
    /// The last number given to a node, process, handle or step.
    last: u64,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            nodes: BTreeMap::from([(ROOT, Node::Folder(Names::default()))]),
            locks: Locks::default(),
            processes: HashSet::new(),
            faults: HashMap::new(),
            network: None,
            boot: 1,
            time: 0,
            last: ROOT.0,
        }
    }

    /// A copy, locks and processes included. Its maps are the same memory until power is lost or
    /// they are made [its own](Self::own_maps).
    pub(super) fn copy(&self) -> Self {
        Self {
            nodes: self.nodes.iter().map(|(id, node)| (*id, node.copy())).collect(),
            locks: self.locks.clone(),
            processes: self.processes.clone(),
            faults: self.faults.clone(),
            ..*self
        }
    }

    pub(super) fn own_maps(&mut self) {
        for node in self.nodes.values_mut() {
            if let Node::File(content) = node {
                content.own_maps();
            }
        }
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn next_step(&mut self) -> u64 {
        self.next()
    }

    pub(super) fn next_handle(&mut self) -> HandleId {
        HandleId(self.next())
    }
}

/// Processes.
impl World {
    pub(super) fn spawn(&mut self) -> ProcessId {
        let process = ProcessId(self.next());
        self.processes.insert(process);
        process
    }

    pub(super) fn kill(&mut self, process: ProcessId) {
        self.processes.remove(&process);
        self.locks.end(process);
    }

    pub(super) fn kill_all(&mut self) {
        self.processes.clear();
        self.locks = Locks::default();
    }

    /// What follows a power loss; `survivor` goes on as a new process.
    pub(super) fn restart(&mut self, survivor: Option<ProcessId>) {
        self.kill_all();
        self.processes.extend(survivor);
        self.faults.clear();
        self.boot += 1;
    }

    pub(super) fn begin(&mut self, process: ProcessId, call: Call) -> io::Result<()> {
        if !self.lives(process) {
            return Err(io::Error::other("this process was killed"));
        }
        self.faults(process).count(call)
    }

    pub(super) fn lives(&self, process: ProcessId) -> bool {
        self.processes.contains(&process)
    }

    pub(super) fn faults(&mut self, process: ProcessId) -> &mut Faults {
        self.faults.entry(process).or_default()
    }
}

/// Power.
impl World {
    /// Seeds as in [`MemDisk::crash`](super::MemDisk::crash).
    pub(super) fn lose_power(&mut self, seed: u64) {
        let loss = Loss::of_seed(seed);
        for node in self.nodes.values_mut() {
            match node {
                Node::File(content) => content.lose_power(loss),
                Node::Folder(names) => names.lose_power(loss),
            }
        }
        self.forget_unreachable();
    }

    pub(super) fn cut_power(&mut self, bytes: u64) {
        let mut writes: Vec<_> = self.contents().flat_map(Content::unsynced).collect();
        writes.sort_unstable();
        let mut left = Some(bytes);
        let mut arrived = HashMap::new();
        for (step, len) in writes {
            let Some(bytes) = left else { break };
            arrived.insert(step, len.min(bytes));
            left = bytes.checked_sub(len);
        }
        for node in self.nodes.values_mut() {
            match node {
                Node::File(content) => content.cut_power(|step| arrived.get(&step).copied()),
                Node::Folder(names) => names.lose_power(Loss::Everything),
            }
        }
        self.forget_unreachable();
    }

    pub(super) fn unsynced_bytes(&self) -> u64 {
        self.contents().flat_map(Content::unsynced).map(|(_, len)| len).sum()
    }

    fn contents(&self) -> impl Iterator<Item = &Content> {
        self.nodes.values().filter_map(|node| match node {
            Node::File(content) => Some(content),
            Node::Folder(_) => None,
        })
    }

    fn forget_unreachable(&mut self) {
        let mut reached = HashSet::from([ROOT]);
        let mut open = vec![ROOT];
        while let Some(node) = open.pop() {
            if let Some(Node::Folder(names)) = self.nodes.get(&node) {
                open.extend(
                    names.iter().map(|(_, node)| node).filter(|node| reached.insert(*node)),
                );
            }
        }
        self.nodes.retain(|node, _| reached.contains(node));
    }
}

/// Nodes and names.
impl World {
    /// A node stays as long as the machine runs, so that open files outlive their names.
    pub(super) fn node(&self, node: NodeId) -> &Node {
        &self.nodes[&node]
    }

    pub(super) fn content(&mut self, node: NodeId) -> io::Result<&mut Content> {
        match self.nodes.get_mut(&node) {
            Some(Node::File(content)) => Ok(content),
            Some(Node::Folder(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn names(&mut self, folder: NodeId) -> io::Result<&mut Names> {
        match self.nodes.get_mut(&folder) {
            Some(Node::Folder(names)) => Ok(names),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn add(&mut self, node: Node) -> NodeId {
        let id = NodeId(self.next());
        self.nodes.insert(id, node);
        id
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<NodeId> {
        let mut node = ROOT;
        for name in parts(path)? {
            node = match self.node(node) {
                Node::Folder(names) => names.get(name).ok_or(io::ErrorKind::NotFound)?,
                Node::File(_) => return Err(io::ErrorKind::NotADirectory.into()),
            };
        }
        Ok(node)
    }

    /// The folder that holds the last name of a path, and that name.
    fn place<'a>(&self, path: &'a Path) -> io::Result<(NodeId, &'a str)> {
        let name = parts(path)?.pop().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = self.find(path.parent().unwrap_or(Path::new("")))?;
        Ok((folder, name))
    }

    pub(super) fn is_linked(&self, node: NodeId) -> bool {
        self.nodes.values().any(|other| match other {
            Node::Folder(names) => names.iter().any(|(_, named)| named == node),
            Node::File(_) => false,
        })
    }

    /// The file of that name, new if there was none.
    pub(super) fn create_file(&mut self, path: &Path) -> io::Result<NodeId> {
        match self.find(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(node) if matches!(self.node(node), Node::Folder(_)) => {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            other => return other,
        }
        let (folder, name) = self.place(path)?;
        let content = Content::new(self.time);
        let node = self.add(Node::File(content));
        self.name(folder, vec![(name.to_owned(), Some(node))])?;
        Ok(node)
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        let mut folder = ROOT;
        for name in parts(path)? {
            folder = if let Some(node) = self.names(folder)?.get(name) {
                node
            } else {
                let node = self.add(Node::Folder(Names::default()));
                self.name(folder, vec![(name.to_owned(), Some(node))])?;
                node
            };
        }
        match self.node(folder) {
            Node::Folder(_) => Ok(()),
            Node::File(_) => Err(io::ErrorKind::AlreadyExists.into()),
        }
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let node = self.find(path)?;
        if let Node::Folder(_) = self.node(node) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let (folder, name) = self.place(path)?;
        self.name(folder, vec![(name.to_owned(), None)])
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        let node = self.find(path)?;
        if !self.names(node)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (folder, name) = self.place(path)?;
        self.name(folder, vec![(name.to_owned(), None)])
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?;
        let (from_folder, from_name) = self.place(from)?;
        let (to_folder, to_name) = self.place(to)?;
        if let Some(target) = self.names(to_folder)?.get(to_name) {
            self.may_replace(node, target)?;
            if target == node {
                return Ok(());
            }
        }
        let gone = (from_name.to_owned(), None);
        let here = (to_name.to_owned(), Some(node));
        if from_folder == to_folder {
            return self.name(to_folder, vec![gone, here]);
        }
        let step = self.next_step();
        self.names(from_folder)?.change(step, vec![gone]);
        self.names(to_folder)?.change(step, vec![here]);
        Ok(())
    }

    fn may_replace(&self, node: NodeId, target: NodeId) -> io::Result<()> {
        match (self.node(node), self.node(target)) {
            (Node::File(_), Node::File(_)) => Ok(()),
            (Node::File(_), Node::Folder(_)) => Err(io::ErrorKind::IsADirectory.into()),
            (Node::Folder(_), Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            (Node::Folder(_), Node::Folder(names)) if names.is_empty() => Ok(()),
            (Node::Folder(_), Node::Folder(_)) => Err(io::ErrorKind::DirectoryNotEmpty.into()),
        }
    }

    pub(super) fn list(&mut self, path: &Path) -> io::Result<Vec<Entry>> {
        let folder = self.find(path)?;
        let names: Vec<_> =
            self.names(folder)?.iter().map(|(name, node)| (name.clone(), node)).collect();
        let is_dir = |node| matches!(self.node(node), Node::Folder(_));
        Ok(names.into_iter().map(|(name, node)| Entry { name, is_dir: is_dir(node) }).collect())
    }

    pub(super) fn find_folder(&mut self, path: &Path) -> io::Result<NodeId> {
        let folder = self.find(path)?;
        self.names(folder).map(|_| folder)
    }

    pub(super) fn sync_folder(&mut self, folder: NodeId) -> io::Result<()> {
        let steps = self.names(folder)?.sync();
        for node in self.nodes.values_mut() {
            if let Node::Folder(names) = node {
                for step in &steps {
                    names.sync_step(*step);
                }
            }
        }
        Ok(())
    }

    fn name(&mut self, folder: NodeId, namings: Vec<super::names::Naming>) -> io::Result<()> {
        let step = self.next_step();
        self.names(folder)?.change(step, namings);
        Ok(())
    }
}

impl Node {
    fn copy(&self) -> Self {
        match self {
            Self::File(content) => Self::File(content.copy()),
            Self::Folder(names) => Self::Folder(names.clone()),
        }
    }
}

/// The names along a path; a relative one begins at the root.
fn parts(path: &Path) -> io::Result<Vec<&str>> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => {
                parts.push(name.to_str().ok_or(io::ErrorKind::InvalidInput)?);
            }
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
        }
    }
    Ok(parts)
}
