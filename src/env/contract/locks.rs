//! Locks of both kinds.

use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

use super::{World, contract};
use crate::env::Mode;

contract! {
    an_exclusive_lock_excludes_every_other_handle
    shared_locks_stand_beside_each_other
    a_lock_ends_with_its_guard
    a_waiting_lock_is_taken_when_it_is_free
    a_folder_can_be_locked
    a_folder_that_is_not_there_is_not_made_to_be_locked
    a_lock_knows_whether_its_path_leads_to_it
    a_record_lock_excludes_every_other_handle
    a_record_lock_changes_its_mode_or_keeps_it
    the_two_kinds_of_locks_do_not_see_each_other
    a_record_lock_of_our_kind_has_no_known_holder
    locks_on_different_bytes_stand_beside_each_other
    whether_a_byte_is_locked_is_seen_without_taking_it
}

fn an_exclusive_lock_excludes_every_other_handle(world: &World) {
    let ours = world.storage.lock(&world.path("l")).unwrap();
    let second = world.storage.lock(&world.path("l")).unwrap();
    let theirs = world.other.lock(&world.path("l")).unwrap();

    ours.acquire(Mode::Exclusive).unwrap();

    for mode in [Mode::Shared, Mode::Exclusive] {
        assert!(!second.try_acquire(mode).unwrap());
        assert!(!theirs.try_acquire(mode).unwrap());
    }
    ours.release().unwrap();
    assert!(theirs.try_acquire(Mode::Exclusive).unwrap());
}

fn shared_locks_stand_beside_each_other(world: &World) {
    let ours = world.storage.lock(&world.path("l")).unwrap();
    let theirs = world.other.lock(&world.path("l")).unwrap();
    let third = world.other.lock(&world.path("l")).unwrap();

    ours.acquire(Mode::Shared).unwrap();

    assert!(theirs.try_acquire(Mode::Shared).unwrap());
    assert!(!third.try_acquire(Mode::Exclusive).unwrap());
}

fn a_lock_ends_with_its_guard(world: &World) {
    let ours = world.storage.lock(&world.path("l")).unwrap();
    let theirs = world.other.lock(&world.path("l")).unwrap();
    ours.acquire(Mode::Exclusive).unwrap();

    drop(ours);

    assert!(theirs.try_acquire(Mode::Exclusive).unwrap());
}

fn a_waiting_lock_is_taken_when_it_is_free(world: &World) {
    let ours = world.storage.lock(&world.path("l")).unwrap();
    let theirs = world.other.lock(&world.path("l")).unwrap();
    ours.acquire(Mode::Exclusive).unwrap();
    let waiter = thread::spawn(move || theirs.acquire(Mode::Exclusive).map(|()| theirs));

    thread::sleep(Duration::from_millis(5));
    assert!(!waiter.is_finished());
    ours.release().unwrap();

    let theirs = waiter.join().unwrap().unwrap();
    assert!(!ours.try_acquire(Mode::Shared).unwrap());
    drop(theirs);
}

fn a_folder_can_be_locked(world: &World) {
    let ours = world.storage.lock_dir(&world.root).unwrap();
    let theirs = world.other.lock_dir(&world.root).unwrap();

    assert!(ours.try_acquire(Mode::Exclusive).unwrap());
    assert!(!theirs.try_acquire(Mode::Exclusive).unwrap());
    assert!(ours.is_current().unwrap());
}

fn a_folder_that_is_not_there_is_not_made_to_be_locked(world: &World) {
    world.write("file", b"");

    let missing = world.storage.lock_dir(&world.path("none")).map(drop);
    let file = world.storage.lock_dir(&world.path("file")).map(drop);

    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(file.unwrap_err().kind(), ErrorKind::NotADirectory);
    assert!(world.storage.list(&world.root).unwrap().iter().all(|entry| entry.name != "none"));
}

fn a_lock_knows_whether_its_path_leads_to_it(world: &World) {
    let lock = world.storage.lock(&world.path("l")).unwrap();
    assert!(lock.is_current().unwrap());

    world.storage.remove(&world.path("l")).unwrap();
    assert!(!lock.is_current().unwrap());

    world.write("l", b"");
    assert!(!lock.is_current().unwrap());
}

fn a_record_lock_excludes_every_other_handle(world: &World) {
    let ours = world.storage.lock_record(&world.path("l")).unwrap();
    let second = world.storage.lock_record(&world.path("l")).unwrap();
    let theirs = world.other.lock_record(&world.path("l")).unwrap();

    assert!(ours.try_acquire(Mode::Exclusive).unwrap());
    assert!(!second.try_acquire(Mode::Shared).unwrap());
    assert!(!theirs.try_acquire(Mode::Shared).unwrap());
    // The end of a handle does not end the locks of the others.
    drop(second);
    assert!(!theirs.try_acquire(Mode::Shared).unwrap());
    ours.release().unwrap();
    assert!(theirs.try_acquire(Mode::Shared).unwrap());
}

fn a_record_lock_changes_its_mode_or_keeps_it(world: &World) {
    let ours = world.storage.lock_record(&world.path("l")).unwrap();
    let theirs = world.other.lock_record(&world.path("l")).unwrap();

    assert!(ours.try_acquire(Mode::Exclusive).unwrap());
    assert!(ours.try_acquire(Mode::Shared).unwrap());
    assert!(theirs.try_acquire(Mode::Shared).unwrap());
    assert!(!ours.try_acquire(Mode::Exclusive).unwrap());
    // Ours is still held.
    assert!(!theirs.try_acquire(Mode::Exclusive).unwrap());
    theirs.release().unwrap();
    assert!(ours.try_acquire(Mode::Exclusive).unwrap());
}

fn the_two_kinds_of_locks_do_not_see_each_other(world: &World) {
    let flock = world.storage.lock(&world.path("l")).unwrap();
    let record = world.other.lock_record(&world.path("l")).unwrap();

    assert!(flock.try_acquire(Mode::Exclusive).unwrap());
    assert!(record.try_acquire(Mode::Exclusive).unwrap());
}

fn a_record_lock_of_our_kind_has_no_known_holder(world: &World) {
    let ours = world.storage.lock_record(&world.path("l")).unwrap();
    let theirs = world.other.lock_record(&world.path("l")).unwrap();

    assert_eq!(theirs.holder().unwrap(), None);
    assert!(ours.try_acquire(Mode::Exclusive).unwrap());
    assert_eq!(theirs.holder().unwrap(), None);
}

fn locks_on_different_bytes_stand_beside_each_other(world: &World) {
    let ours = world.storage.lock_byte(&world.path("l"), 3).unwrap();
    let beside = world.other.lock_byte(&world.path("l"), 4).unwrap();
    let theirs = world.other.lock_byte(&world.path("l"), 3).unwrap();

    assert!(ours.try_acquire(Mode::Exclusive).unwrap());

    assert!(beside.try_acquire(Mode::Exclusive).unwrap());
    assert!(!theirs.try_acquire(Mode::Exclusive).unwrap());
    drop(ours);
    assert!(theirs.try_acquire(Mode::Exclusive).unwrap());
}

fn whether_a_byte_is_locked_is_seen_without_taking_it(world: &World) {
    let ours = world.storage.lock_byte(&world.path("l"), 3).unwrap();
    let theirs = world.other.lock_byte(&world.path("l"), 3).unwrap();
    assert!(theirs.is_free().unwrap());

    assert!(ours.try_acquire(Mode::Exclusive).unwrap());

    assert!(!theirs.is_free().unwrap());
    assert!(ours.is_free().unwrap(), "its own lock is not in its way");
    ours.release().unwrap();
    assert!(theirs.is_free().unwrap());
}
