//! The names of a partition's files (Kafka's `LogFileUtils`), and how small files are replaced.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::point::point;
use crate::env::{Access, Entry, File, Storage};
use crate::error::{At, Result};

pub(crate) const LOG: &str = "log";
pub(crate) const INDEX: &str = "index";
pub(crate) const TIME_INDEX: &str = "timeindex";
pub(crate) const TXN_INDEX: &str = "txnindex";
pub(crate) const SNAPSHOT: &str = "snapshot";
/// No segment begins later: what an index can say of it is an offset too.
pub(crate) const MAX_BASE: i64 = i64::MAX - (1 << 33);
/// Put behind the name of a segment that recovery took out of the log; Kafka passes it over.
pub(crate) const QUARANTINED: &str = "quarantined";
/// In the names of copies of batches whose epochs were corrected.
pub(crate) const EPOCHS: &str = "epochs";
pub(crate) const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";
/// Offsets that a repair found missing, a line a gap; Kafka passes it over.
pub(crate) const MISSING: &str = ".brokerless-missing";

/// `dir/00000000000000042000.log`: a file named after the offset it begins with.
pub(crate) fn path(dir: &Path, offset: i64, suffix: &str) -> PathBuf {
    dir.join(format!("{offset:020}.{suffix}"))
}

/// The offsets of all files of that suffix, ascending.
pub(crate) fn offsets(storage: &dyn Storage, dir: &Path, suffix: &str) -> Result<Vec<i64>> {
    Ok(offsets_in(&storage.list(dir).at("list", dir)?, suffix))
}

/// The same of a folder that was listed.
pub(crate) fn offsets_in(entries: &[Entry], suffix: &str) -> Vec<i64> {
    let offsets = entries.iter().filter_map(|entry| offset_of(&entry.name, suffix));
    let mut offsets: Vec<i64> = offsets.collect();
    offsets.sort_unstable();
    offsets
}

/// The offset in the name of a file of that suffix.
pub(crate) fn offset_of(name: &str, suffix: &str) -> Option<i64> {
    let stem = name.strip_suffix(suffix)?.strip_suffix('.')?;
    let digits = stem.len() == 20 && stem.bytes().all(|b| b.is_ascii_digit());
    let offset: Option<i64> = digits.then(|| stem.parse().ok()).flatten();
    offset.filter(|offset| *offset <= MAX_BASE)
}

/// Whether a file of that name is one that a partition's folder has.
pub(crate) fn is_of_partition(name: &str) -> bool {
    let has_offset = |suffix: &&str| offset_of(name, suffix).is_some();
    [LEADER_EPOCHS, PARTITION_METADATA].contains(&name)
        || [LOG, INDEX, TIME_INDEX, TXN_INDEX, SNAPSHOT].iter().any(has_offset)
}

/// All bytes of a small file, `None` if it does not exist.
pub(crate) fn read(storage: &dyn Storage, path: &Path) -> Result<Option<Vec<u8>>> {
    let file = match storage.open(path, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).at("open", path),
    };
    whole(&*file).at("read", path).map(Some)
}

fn whole(file: &dyn File) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
    // A file that should be small may have any size.
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len)?;
    bytes.resize(len, 0);
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Replaces a small file in one step: after `Ok` the new content survives a crash, after `Err` or
/// a crash before that either the old or the new is there, whole.
pub(crate) fn replace(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary(path);
    let replaced = write_new(storage, &temporary, bytes).and_then(|file| {
        point("replace.written");
        file.sync_data().at("sync", &temporary)?;
        point("replace.synced");
        storage.rename(&temporary, path).at("rename", path)
    });
    clean(storage, &temporary, replaced)?;
    point("replace.renamed");
    let dir = path.parent().expect("a file of a data directory has a folder");
    storage.sync_dir(dir).at("sync", dir)
}

/// Replaces a small file in one step for those who read it. A crash may leave it empty or without
/// its name: only for what can be made again.
pub(crate) fn put(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary(path);
    let written = write_new(storage, &temporary, bytes);
    let replaced = written.and_then(|_| storage.rename(&temporary, path).at("rename", path));
    clean(storage, &temporary, replaced)
}

/// Leaves no temporary file behind an error, which is what is to be told.
fn clean(storage: &dyn Storage, temporary: &Path, replaced: Result<()>) -> Result<()> {
    replaced.inspect_err(|_| drop(storage.remove(temporary)))
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

fn write_new(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> Result<Arc<dyn File>> {
    let file = storage.open(path, Access::Write).at("open", path)?;
    file.set_len(0).at("truncate", path)?;
    file.write_at(0, bytes).at("write", path)?;
    Ok(file)
}

/// The name under which a file is kept that was taken out of the log; `number` counts those that
/// had the name before.
pub(crate) fn quarantined(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{QUARANTINED}"));
    if number > 0 {
        name.push(format!("-{number}"));
    }
    PathBuf::from(name)
}

/// Whether a file of that name was taken out of a log. What a repair keeps of epochs is still there.
pub(crate) fn is_quarantined(name: &str) -> bool {
    name.contains(&format!(".{QUARANTINED}")) && !name.contains(&format!(".{EPOCHS}-"))
}

/// Such a name that nothing has yet.
pub(crate) fn free_quarantine(storage: &dyn Storage, path: &Path) -> Result<PathBuf> {
    for number in 0.. {
        let name = quarantined(path, number);
        match storage.open(&name, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(name),
            Ok(_) => {}
            Err(error) => return Err(error).at("open", &name),
        }
    }
    unreachable!("there is always another number")
}

/// Removes a file; that it is not there is no error.
pub(crate) fn remove(storage: &dyn Storage, path: &Path) -> Result<()> {
    match storage.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("remove", path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::mem::{Call, MemDisk, Repeat};

    #[test]
    fn a_file_that_could_not_be_replaced_is_as_it_was_and_alone() {
        for call in [Call::Write, Call::SyncData, Call::Rename] {
            let disk = MemDisk::new();
            let (dir, path) = (Path::new("/data"), Path::new("/data/list"));
            disk.create_dir(dir).unwrap();
            replace(&disk, path, b"old").unwrap();
            disk.fail_call(call, 1, io::ErrorKind::StorageFull, Repeat::Once);

            assert!(replace(&disk, path, b"new").is_err(), "{call:?}");

            assert_eq!(read(&disk, path).unwrap().unwrap(), b"old", "{call:?}");
            assert_eq!(disk.list(dir).unwrap().len(), 1, "{call:?}");
        }
    }

    #[test]
    fn only_twenty_digits_and_the_suffix_name_a_segment() {
        assert_eq!(offset_of("00000000000000042000.log", LOG), Some(42_000));
        assert_eq!(offset_of("00000000000000042000.index", LOG), None);
        assert_eq!(offset_of("42000.log", LOG), None);
        assert_eq!(offset_of("00000000000000042000.log.quarantined", LOG), None);
        assert_eq!(offset_of("99999999999999999999.log", LOG), None);
        assert_eq!(offset_of("09223372036854775807.log", LOG), None);
    }
}
