//! What only the machine in memory does: losing power, failing calls, killing processes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::{Call, MemDisk, Repeat};
use crate::env::{Access, File, Mode, Storage};

/// Enough of them that each fate of a single change is among them.
const SEEDS: std::ops::Range<u64> = 2..66;

fn path(name: &str) -> PathBuf {
    Path::new("data").join(name)
}

/// A machine with the durable folder `data`.
fn machine() -> MemDisk {
    let disk = MemDisk::new();
    disk.create_dir(Path::new("data")).unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    disk
}

fn open(disk: &MemDisk, name: &str) -> Arc<dyn File> {
    disk.open(&path(name), Access::Write).unwrap()
}

/// A durable file.
fn write(disk: &MemDisk, name: &str, bytes: &[u8]) {
    let file = open(disk, name);
    file.write_at(0, bytes).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("data")).unwrap();
}

/// `None` if there is no such file.
fn read(disk: &MemDisk, name: &str) -> Option<Vec<u8>> {
    let file = disk.open(&path(name), Access::Read).ok()?;
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    Some(bytes)
}

/// What a file holds after each of the power losses, without repetition.
fn outcomes(disk: &MemDisk, name: &str) -> Vec<Option<Vec<u8>>> {
    let mut outcomes: Vec<_> = SEEDS.map(|seed| read(&disk.after_crash(seed), name)).collect();
    outcomes.sort();
    outcomes.dedup();
    outcomes
}

#[test]
fn what_was_synced_survives_every_power_loss() {
    let disk = machine();
    write(&disk, "a", b"0123");

    assert_eq!(outcomes(&disk, "a"), [Some(b"0123".to_vec())]);
}

#[test]
fn a_file_whose_folder_was_not_synced_may_be_gone() {
    let disk = machine();
    let file = open(&disk, "a");
    file.write_at(0, b"0123").unwrap();
    file.sync_data().unwrap();

    assert_eq!(outcomes(&disk, "a"), [None, Some(b"0123".to_vec())]);
}

#[test]
fn a_folder_whose_own_name_was_not_synced_takes_its_files_with_it() {
    let disk = MemDisk::new();
    disk.create_dir(Path::new("data")).unwrap();
    write(&disk, "a", b"0");

    assert_eq!(outcomes(&disk, "a"), [None, Some(b"0".to_vec())]);
}

#[test]
fn an_unsynced_write_arrives_whole_in_part_or_not() {
    let disk = machine();
    write(&disk, "a", b"");
    open(&disk, "a").write_at(0, b"0123").unwrap();

    let outcomes = outcomes(&disk, "a");

    assert!(outcomes.contains(&Some(b"".to_vec())));
    assert!(outcomes.contains(&Some(b"01".to_vec())));
    assert!(outcomes.contains(&Some(b"0123".to_vec())));
    assert!(outcomes.contains(&Some(b"\0\0\0\0".to_vec())), "the length may arrive alone");
}

#[test]
fn unsynced_writes_arrive_in_any_order() {
    let disk = machine();
    write(&disk, "a", b"--");
    let file = open(&disk, "a");
    file.write_at(0, b"0").unwrap();
    file.write_at(1, b"1").unwrap();

    let all = [b"--", b"-1", b"0-", b"01"].map(|bytes| Some(bytes.to_vec()));
    assert_eq!(outcomes(&disk, "a"), all);
}

#[test]
fn an_unsynced_cut_arrives_or_not() {
    let disk = machine();
    write(&disk, "a", b"0123");
    open(&disk, "a").set_len(1).unwrap();

    assert_eq!(outcomes(&disk, "a"), [Some(b"0".to_vec()), Some(b"0123".to_vec())]);
}

#[test]
fn an_unsynced_rename_is_one_step() {
    let disk = machine();
    write(&disk, "a", b"new");
    write(&disk, "b", b"old");
    disk.rename(&path("a"), &path("b")).unwrap();

    let mut both: Vec<_> = SEEDS
        .map(|seed| disk.after_crash(seed))
        .map(|disk| (read(&disk, "a"), read(&disk, "b")))
        .collect();
    both.sort();
    both.dedup();

    let (old, new) = (Some(b"old".to_vec()), Some(b"new".to_vec()));
    assert_eq!(both, [(None, new.clone()), (new, old)]);
}

#[test]
fn a_rename_between_folders_is_one_step_that_either_sync_makes_durable() {
    for synced in [None, Some("data/x"), Some("data/y")] {
        let disk = machine();
        disk.create_dir(&path("x")).unwrap();
        disk.create_dir(&path("y")).unwrap();
        write(&disk, "x/a", b"0");
        disk.sync_dir(&path("x")).unwrap();
        disk.rename(&path("x/a"), &path("y/a")).unwrap();
        if let Some(folder) = synced {
            disk.sync_dir(Path::new(folder)).unwrap();
        }

        for seed in SEEDS {
            let after = disk.after_crash(seed);
            let (from, to) = (read(&after, "x/a").is_some(), read(&after, "y/a").is_some());
            assert!(from != to, "seed {seed}");
            assert!(to || synced.is_none(), "seed {seed}, synced {synced:?}");
        }
    }
}

#[test]
fn a_removed_name_may_come_back() {
    let disk = machine();
    write(&disk, "a", b"0");
    disk.remove(&path("a")).unwrap();
    assert_eq!(outcomes(&disk, "a"), [None, Some(b"0".to_vec())]);

    disk.sync_dir(Path::new("data")).unwrap();
    assert_eq!(outcomes(&disk, "a"), [None]);
}

#[test]
fn the_first_seeds_lose_everything_and_nothing() {
    let disk = machine();
    write(&disk, "a", b"");
    open(&disk, "a").write_at(0, b"0123").unwrap();
    open(&disk, "b").write_at(0, b"45").unwrap();

    let (nothing, everything) = (disk.after_crash(0), disk.after_crash(1));

    assert_eq!((read(&nothing, "a"), read(&nothing, "b")), (Some(vec![]), None));
    assert_eq!(read(&everything, "a").unwrap(), b"0123");
    assert_eq!(read(&everything, "b").unwrap(), b"45");
}

#[test]
fn a_cut_leaves_the_first_bytes_in_the_order_of_writing() {
    let disk = machine();
    write(&disk, "a", b"");
    write(&disk, "b", b"");
    open(&disk, "a").write_at(0, b"01").unwrap();
    open(&disk, "b").write_at(0, b"23").unwrap();
    open(&disk, "a").write_at(2, b"45").unwrap();
    assert_eq!(disk.unsynced_bytes(), 6);

    let left: Vec<_> = (0..=6)
        .map(|bytes| disk.after_cut(bytes))
        .map(|disk| [read(&disk, "a"), read(&disk, "b")].map(Option::unwrap).concat())
        .map(|bytes| String::from_utf8(bytes).unwrap())
        .collect();

    assert_eq!(left, ["", "0", "01", "012", "0123", "01423", "014523"]);
}

#[test]
fn a_copy_after_a_power_loss_leaves_the_machine_alone() {
    let disk = machine();
    write(&disk, "a", b"");
    open(&disk, "a").write_at(0, b"0").unwrap();

    let after = disk.after_crash(0);
    write(&after, "b", b"1");

    assert_eq!(read(&disk, "a").unwrap(), b"0");
    assert_eq!(read(&disk, "b"), None);
    assert_ne!(disk.boot_id(), after.boot_id());
}

#[test]
fn after_a_crash_in_place_nothing_that_was_open_can_be_used() {
    let disk = machine();
    let other = disk.process();
    write(&disk, "a", b"0");
    let (file, lock) = (open(&disk, "a"), disk.lock(&path("l")).unwrap());
    lock.acquire(Mode::Exclusive).unwrap();
    let boot = disk.boot_id();

    disk.crash(1);

    assert!(file.len().is_err());
    assert!(file.write_at(0, b"1").is_err());
    assert!(lock.try_acquire(Mode::Shared).is_err());
    assert!(other.open(&path("a"), Access::Read).is_err());
    assert_eq!(read(&disk, "a").unwrap(), b"0");
    assert!(disk.lock(&path("l")).unwrap().try_acquire(Mode::Exclusive).unwrap());
    assert_ne!(disk.boot_id(), boot);
}

#[test]
fn what_a_map_held_may_survive_in_part() {
    let disk = machine();
    write(&disk, "m", &[0; 1024]);
    let map = disk.map(&path("m"), 0, 128).unwrap();
    map.words()[0].store(u64::MAX, Ordering::Relaxed);
    map.words()[64].store(u64::MAX, Ordering::Relaxed);

    let seen = |disk: MemDisk| {
        let map = disk.map(&path("m"), 0, 128).unwrap();
        [0, 64].map(|word| map.words()[word].load(Ordering::Relaxed) == u64::MAX)
    };

    let mut outcomes: Vec<_> = SEEDS.map(|seed| seen(disk.after_crash(seed))).collect();
    outcomes.sort_unstable();
    outcomes.dedup();
    assert_eq!(outcomes, [[false, false], [false, true], [true, false], [true, true]]);
    assert_eq!(seen(disk.copy()), [true, true], "the death of a process loses nothing");
}

#[test]
fn a_mapped_file_cannot_be_cut() {
    let disk = machine();
    let _map = disk.map(&path("m"), 0, 128).unwrap();

    let cut = open(&disk, "m").set_len(1023);

    assert_eq!(cut.map_err(|error| error.kind()), Err(io::ErrorKind::InvalidInput));
    open(&disk, "m").set_len(1024).unwrap();
}

#[test]
fn each_call_can_be_made_to_fail() {
    let work = |disk: &MemDisk| -> io::Result<()> {
        disk.create_dir(&path("folder"))?;
        let file = disk.open(&path("a"), Access::Write)?;
        file.write_at(0, b"0")?;
        file.sync_data()?;
        file.set_len(0)?;
        file.read_at(0, &mut [0])?;
        file.status()?;
        file.len()?;
        disk.sync_dir(&path("folder"))?;
        disk.list(&path("folder"))?;
        disk.rename(&path("a"), &path("b"))?;
        disk.remove(&path("b"))?;
        disk.remove_dir(&path("folder"))?;
        disk.lock(&path("l"))?.acquire(Mode::Shared)?;
        disk.lock(&path("l"))?.try_acquire(Mode::Shared)?;
        disk.lock_record(&path("l"))?.try_acquire(Mode::Shared)?;
        disk.map(&path("m"), 0, 8)?;
        Ok(())
    };
    let disk = machine();
    let before = disk.calls();
    work(&disk).unwrap();
    let calls = disk.calls() - before;
    assert_eq!(calls, 21);

    for n in 1..=calls {
        let disk = machine();
        disk.fail(n, io::ErrorKind::StorageFull, Repeat::Once);

        let failed = work(&disk);

        assert_eq!(failed.map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull), "{n}");
    }
}

#[test]
fn a_write_that_fails_leaves_half_of_its_bytes() {
    let disk = machine();
    let file = open(&disk, "a");
    disk.fail_call(Call::Write, 1, io::ErrorKind::StorageFull, Repeat::Once);

    let failed = file.write_at(0, b"0123");

    assert_eq!(failed.map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
    assert_eq!(read(&disk, "a").unwrap(), b"01");
}

#[test]
fn after_a_failed_sync_the_next_one_lies() {
    let mut lost = false;
    for n in 0..16 {
        let disk = machine();
        write(&disk, "a", b"");
        let file = open(&disk, "a");
        for at in 0..n {
            file.write_at(at, b"0").unwrap();
        }
        file.write_at(0, b"new").unwrap();
        disk.fail_call(Call::SyncData, 1, io::ErrorKind::Other, Repeat::Once);

        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();

        assert!(read(&disk, "a").unwrap().starts_with(b"new"), "readers notice nothing");
        lost |= !read(&disk.after_crash(1), "a").unwrap().starts_with(b"new");
    }
    assert!(lost);
}

#[test]
fn the_failures_of_one_process_are_not_those_of_another() {
    let disk = machine();
    let other = disk.process();

    disk.fail(1, io::ErrorKind::StorageFull, Repeat::Forever);

    assert!(disk.open(&path("a"), Access::Write).is_err());
    assert!(other.open(&path("a"), Access::Write).is_ok());
    disk.heal();
    assert!(disk.open(&path("a"), Access::Write).is_ok());
}

#[test]
fn the_locks_of_a_killed_process_are_free_and_its_calls_fail() {
    let disk = machine();
    let other = disk.process();
    let (file, lock) = (open(&disk, "a"), disk.lock(&path("l")).unwrap());
    let record = disk.lock_record(&path("r")).unwrap();
    lock.acquire(Mode::Exclusive).unwrap();
    assert!(record.try_acquire(Mode::Exclusive).unwrap());

    disk.kill();

    assert!(other.lock(&path("l")).unwrap().try_acquire(Mode::Exclusive).unwrap());
    assert!(other.lock_record(&path("r")).unwrap().try_acquire(Mode::Exclusive).unwrap());
    assert!(file.write_at(0, b"0").is_err());
    assert!(lock.acquire(Mode::Exclusive).is_err());
    assert!(disk.open(&path("a"), Access::Read).is_err());
    disk.heal();
    assert!(disk.open(&path("a"), Access::Read).is_err());
    assert_eq!(read(&other, "a").unwrap(), b"");
}

#[test]
fn a_process_that_waits_for_a_lock_goes_on_when_the_holder_is_killed() {
    let disk = machine();
    let other = disk.process();
    let lock = disk.lock(&path("l")).unwrap();
    lock.acquire(Mode::Exclusive).unwrap();
    let theirs = other.lock(&path("l")).unwrap();
    let waiter = thread::spawn(move || theirs.acquire(Mode::Exclusive).is_ok());
    thread::sleep(Duration::from_millis(2));

    disk.kill();

    assert!(waiter.join().unwrap());
}

#[test]
fn a_killed_process_does_not_wait_for_ever() {
    let disk = machine();
    let other = disk.process();
    let lock = disk.lock(&path("l")).unwrap();
    lock.acquire(Mode::Exclusive).unwrap();
    let theirs = other.lock(&path("l")).unwrap();
    let waiter = thread::spawn(move || theirs.acquire(Mode::Exclusive).is_ok());
    thread::sleep(Duration::from_millis(2));

    other.kill();

    assert!(!waiter.join().unwrap());
}

#[test]
fn a_failed_change_of_a_flock_gives_it_up() {
    let disk = machine();
    let (ours, theirs) = (disk.lock(&path("l")).unwrap(), disk.lock(&path("l")).unwrap());
    ours.acquire(Mode::Shared).unwrap();
    theirs.acquire(Mode::Shared).unwrap();

    assert!(!ours.try_acquire(Mode::Exclusive).unwrap());

    assert!(theirs.try_acquire(Mode::Exclusive).unwrap());
}

#[test]
fn a_broker_is_known_by_its_lock() {
    let disk = machine();
    let broker = disk.process();
    assert!(broker.lock_as_broker(&path(".lock"), 42).unwrap());
    let ours = disk.lock_record(&path(".lock")).unwrap();

    assert!(!ours.try_acquire(Mode::Shared).unwrap());
    assert_eq!(ours.holder().unwrap(), Some(42));

    broker.kill();
    assert!(ours.try_acquire(Mode::Shared).unwrap());
    assert_eq!(ours.holder().unwrap(), None);
    assert!(!disk.process().lock_as_broker(&path(".lock"), 43).unwrap());
}

#[test]
fn a_hook_is_called_before_each_call_and_while_waiting() {
    let disk = machine();
    let lock = disk.process().lock(&path("l")).unwrap();
    let calls = Arc::new(AtomicU64::new(0));
    let (counter, holder) = (Arc::clone(&calls), disk.lock(&path("l")).unwrap());
    holder.acquire(Mode::Exclusive).unwrap();
    let hooked = disk.process().with_hook(Arc::new(move |_| {
        if counter.fetch_add(1, Ordering::Relaxed) == 4 {
            holder.release().unwrap();
        }
    }));

    let waiting = hooked.lock(&path("l")).unwrap();
    waiting.acquire(Mode::Exclusive).unwrap();

    assert_eq!(calls.load(Ordering::Relaxed), 5);
    assert!(!lock.try_acquire(Mode::Shared).unwrap());
}

#[test]
fn a_file_remembers_when_it_was_last_changed() {
    let disk = machine();
    let file = open(&disk, "a");
    let made = file.status().unwrap().modified;

    disk.clock().advance(Duration::from_millis(5));
    assert_eq!(file.status().unwrap().modified, made);
    file.write_at(0, b"0").unwrap();

    assert_eq!(file.status().unwrap().modified, made + 5);
    assert_eq!(disk.env().clock.now(), made + 5);
}

#[test]
fn the_disk_can_be_a_network_file_system() {
    let disk = machine();

    disk.set_network_file_system(Some("nfs"));

    assert_eq!(disk.network_file_system(Path::new("data")).unwrap(), Some("nfs"));
}
