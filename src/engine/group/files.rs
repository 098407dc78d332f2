//! A group's files: where its state lies, its members' heartbeats, and their locks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::coord::group::{Member, State};
use crate::env::point::point;
use crate::env::{Access, Entry, File, Lock, Map, Mode, RecordLock, Storage};
use crate::error::{At, Error, Result};

/// Members that a group can have.
pub(super) const SLOTS: u32 = 960;

/// 64 KiB.
const WORDS: usize = 8192;

/// Grows with each change. The state of a version lies where the place of its parity says, so the
/// places are never overwritten while they are valid.
const AT_VERSION: usize = 0;
/// Two places: position in the file, then length and checksum.
const AT_PLACES: usize = 2;

/// Halves before the first heartbeat; a cache line each, with the time of the last sign of life in
/// its second word.
const FIRST_BEAT: usize = 1024;

/// Tries to read a state that changes all the while.
const TRIES: u32 = 1000;

/// What the names of all groups' files begin with.
pub(crate) const PREFIX: &str = ".brokerless-group-";

/// Removes the files of all groups: only for the first process in, when nobody can have a lock on
/// one of them. What they say is void then, and a directory of many short-lived groups stays small.
pub(crate) fn remove_all(storage: &dyn Storage, dir: &Path) -> Result<()> {
    let ours = |entry: &Entry| entry.name.starts_with(PREFIX) && !entry.is_dir;
    for entry in storage.list(dir).at("list", dir)?.into_iter().filter(ours) {
        let path = dir.join(entry.name);
        storage.remove(&path).at("remove", &path)?;
    }
    Ok(())
}

/// The ids of the groups that have files, where somebody has used them since the first process came.
pub(super) fn ids(storage: &Arc<dyn Storage>, dir: &Path) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for entry in storage.list(dir).at("list", dir)? {
        let lock = dir.join(&entry.name);
        if entry.name.starts_with(PREFIX) && lock.extension().is_some_and(|ext| ext == "lock") {
            ids.extend(Files::open(storage, &lock, "")?.id()?);
        }
    }
    Ok(ids)
}

/// The mapped words, the file of the state, and where the locks are.
#[derive(Debug)]
pub(super) struct Files {
    storage: Arc<dyn Storage>,
    group: String,
    lock: PathBuf,
    live: PathBuf,
    words: Arc<dyn Map>,
    path: PathBuf,
    state: Arc<dyn File>,
}

/// Where a state lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    position: u64,
    len: u32,
    checksum: u32,
}

impl Place {
    fn end(self) -> u64 {
        self.position.saturating_add(u64::from(self.len))
    }
}

impl Files {
    /// Opens the files beside `lock`.
    pub(super) fn open(storage: &Arc<dyn Storage>, lock: &Path, group: &str) -> Result<Self> {
        let (live, path) = (lock.with_extension("live"), lock.with_extension("state"));
        Ok(Self {
            words: storage.map(&live, 0, WORDS).at("map", &live)?,
            state: storage.open(&path, Access::Write).at("open", &path)?,
            storage: storage.clone(),
            group: group.to_owned(),
            lock: lock.to_owned(),
            live,
            path,
        })
    }

    pub(super) fn lock_path(&self) -> &Path {
        &self.lock
    }

    /// The group's lock, not yet taken.
    pub(super) fn group_lock(&self) -> Result<Box<dyn Lock>> {
        self.storage.lock(&self.lock).at("open", &self.lock)
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        &self.words.words()[index]
    }

    /// The version of the state; 0 if nobody has used the group since the first process came.
    pub(super) fn version(&self) -> u64 {
        self.word(AT_VERSION).load(Ordering::Acquire)
    }

    fn place(&self, version: u64) -> Place {
        let at = AT_PLACES + 2 * (version % 2) as usize;
        let size = self.word(at + 1).load(Ordering::Acquire);
        Place {
            position: self.word(at).load(Ordering::Acquire),
            len: (size >> 32) as u32,
            checksum: size as u32,
        }
    }

    fn set_place(&self, version: u64, place: Place) {
        let at = AT_PLACES + 2 * (version % 2) as usize;
        self.word(at).store(place.position, Ordering::Release);
        let size = u64::from(place.len) << 32 | u64::from(place.checksum);
        self.word(at + 1).store(size, Ordering::Release);
    }

    /// The state and its version. Somebody may write meanwhile; then it is read again.
    pub(super) fn read(&self) -> Result<(u64, State)> {
        for _ in 0..TRIES {
            let version = self.version();
            if let Some(bytes) = self.bytes(self.place(version))?
                && self.version() == version
            {
                return Ok((version, self.decode(&bytes)?));
            }
        }
        Err(self.damaged())
    }

    /// What lies at a place; `None` if it is not what was put there.
    fn bytes(&self, place: Place) -> Result<Option<Vec<u8>>> {
        let len = self.state.len().at("stat", &self.path)?;
        if place.position.checked_add(u64::from(place.len)).is_none_or(|end| end > len) {
            return Ok(None);
        }
        let mut bytes = vec![0; place.len as usize];
        let read = self.state.read_at(place.position, &mut bytes).at("read", &self.path)?;
        let whole = read == bytes.len() && crc32c::crc32c(&bytes) == place.checksum;
        Ok(whole.then_some(bytes))
    }

    /// The id of the group whose files these are; `None` if nobody has used it.
    fn id(&self) -> Result<Option<String>> {
        for _ in 0..TRIES {
            let version = self.version();
            if version == 0 {
                return Ok(None);
            }
            if let Some(bytes) = self.bytes(self.place(version))? {
                let id = split_id(&bytes).and_then(|(id, _)| String::from_utf8(id.to_vec()).ok());
                return id.map(Some).ok_or_else(|| self.damaged());
            }
        }
        Err(self.damaged())
    }

    /// The bytes begin with the group's id: another may have the same hash.
    fn decode(&self, bytes: &[u8]) -> Result<State> {
        let (id, state) = split_id(bytes).ok_or_else(|| self.damaged())?;
        if id != self.group.as_bytes() {
            return Err(Error::InvalidGroupId(self.group.clone()));
        }
        State::decode(state).ok_or_else(|| self.damaged())
    }

    fn damaged(&self) -> Error {
        let remedy = "close every process that uses the directory and remove the file";
        Error::Damaged { path: self.path.clone(), remedy: remedy.to_owned() }
    }

    /// Makes `state` the valid one; only for who holds the group's lock. Gives its version.
    pub(super) fn write(&self, state: &State) -> Result<u64> {
        let before = self.version();
        let valid = (before != 0).then(|| self.place(before));
        let mut bytes = (self.group.len() as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(self.group.as_bytes());
        bytes.extend(state.encode());
        let len = u32::try_from(bytes.len()).expect("a group's state is far below 4 GiB");
        let position = match valid {
            Some(valid) if valid.position < u64::from(len) => valid.end(),
            _ => 0,
        };
        self.state.write_at(position, &bytes).at("write", &self.path)?;
        point("group.written");
        let version = before.wrapping_add(1);
        self.set_place(version, Place { position, len, checksum: crc32c::crc32c(&bytes) });
        point("group.placed");
        self.word(AT_VERSION).store(version, Ordering::Release);
        point("group.versioned");
        Ok(version)
    }

    /// What the member at `slot` counts up while its process runs.
    pub(super) fn beat(&self, slot: u32) -> &AtomicU32 {
        &self.words.halves()[FIRST_BEAT + 16 * (slot % SLOTS) as usize]
    }

    /// Notes that the member at `slot` lives at monotonic time `now`.
    pub(super) fn show_life(&self, slot: u32, now: Duration) {
        // 0 says nothing.
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.last_life(slot).store(nanos, Ordering::Relaxed);
    }

    /// How long before `now` the member at `slot` has shown that it lives; `None` if that is not
    /// known.
    fn silence(&self, slot: u32, now: Duration) -> Option<Duration> {
        let nanos = self.last_life(slot).load(Ordering::Relaxed);
        now.checked_sub(Duration::from_nanos(nanos)).filter(|_| nanos != 0)
    }

    /// In the cache line of the heartbeat, behind it.
    fn last_life(&self, slot: u32) -> &AtomicU64 {
        self.word(FIRST_BEAT / 2 + 8 * (slot % SLOTS) as usize + 1)
    }

    /// Whether a member has died. A static one may come back in its session: then it has not.
    pub(super) fn is_dead(&self, member: &Member, now: Duration) -> Result<bool> {
        let is_over = member.instance_id.is_none()
            || self.silence(member.slot, now).is_some_and(|it| it >= member.session_timeout);
        Ok(is_over && self.is_free(member.slot)?)
    }

    fn life(&self, slot: u32) -> Result<Box<dyn RecordLock>> {
        self.storage.lock_byte(&self.live, slot.into()).at("open", &self.live)
    }

    /// Whether nobody lives at `slot`.
    fn is_free(&self, slot: u32) -> Result<bool> {
        self.life(slot)?.is_free().at("lock", &self.live)
    }

    /// Takes a place to live, if nobody lives there.
    pub(super) fn occupy(&self, slot: u32) -> Result<Option<Box<dyn RecordLock>>> {
        let lock = self.life(slot)?;
        let taken = lock.try_acquire(Mode::Exclusive).at("lock", &self.live)?;
        Ok(taken.then_some(lock))
    }
}

fn split_id(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::mem::MemDisk;

    #[test]
    fn a_state_is_written_beside_the_valid_one() {
        let storage: Arc<dyn Storage> = Arc::new(MemDisk::new());
        let mut files = Files::open(&storage, Path::new("/g.lock"), "g").unwrap();
        for len in [1, 5, 2, 2, 9, 1, 1, 7] {
            // The id stands in front of the state, and makes it as long as wanted.
            files.group = "g".repeat(len);
            let version = files.version();
            let valid = files.bytes(files.place(version)).unwrap();

            files.write(&State::after(len as i32)).unwrap();

            assert_eq!(files.bytes(files.place(version)).unwrap(), valid, "before length {len}");
            assert_eq!(files.read().unwrap(), (version + 1, State::after(len as i32)));
        }
        assert!(files.state.len().unwrap() < 1000, "places are used again");
    }

    #[test]
    fn a_group_whose_files_another_has_is_refused() {
        let storage: Arc<dyn Storage> = Arc::new(MemDisk::new());
        let ours = Files::open(&storage, Path::new("/g.lock"), "ours").unwrap();
        let theirs = Files::open(&storage, Path::new("/g.lock"), "theirs").unwrap();

        ours.write(&State::default()).unwrap();

        assert!(matches!(theirs.read(), Err(Error::InvalidGroupId(_))));
    }

    #[test]
    fn a_state_that_is_not_what_was_written_is_an_error() {
        let storage: Arc<dyn Storage> = Arc::new(MemDisk::new());
        let files = Files::open(&storage, Path::new("/g.lock"), "g").unwrap();
        files.write(&State::default()).unwrap();

        files.state.write_at(7, b"!").unwrap();

        assert!(matches!(files.read(), Err(Error::Damaged { .. })));
    }
}
