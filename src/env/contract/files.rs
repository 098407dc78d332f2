//! Files: reading, writing, and what becomes of their names.

use std::io;

use super::{World, contract, kind, read};
use crate::env::Access;

contract! {
    a_new_file_is_empty
    a_file_that_is_to_be_read_must_exist
    a_folder_does_not_open_as_a_file
    a_file_needs_its_folder
    what_is_written_is_read_by_every_process
    a_read_ends_at_the_end_of_the_file
    a_write_behind_the_end_leaves_zeros_between
    a_file_that_was_opened_to_be_read_cannot_be_written
    a_file_can_be_cut_and_lengthened
    an_empty_write_changes_nothing
    a_sync_succeeds
    status_tells_length_identity_and_whether_it_has_a_name
    an_open_file_outlives_its_name
}

fn a_new_file_is_empty(world: &World) {
    let file = world.open("a");

    assert!(file.is_empty().unwrap());
    assert_eq!(world.read("a"), b"");
}

fn a_file_that_is_to_be_read_must_exist(world: &World) {
    let missing = world.storage.open(&world.path("a"), Access::Read);

    assert_eq!(kind(missing), io::ErrorKind::NotFound);
    assert_eq!(world.names(""), []);
}

fn a_folder_does_not_open_as_a_file(world: &World) {
    for access in [Access::Read, Access::Write] {
        let opened = world.storage.open(&world.root, access);

        assert_eq!(kind(opened), io::ErrorKind::IsADirectory);
    }
}

fn a_file_needs_its_folder(world: &World) {
    world.write("file", b"");

    let without = world.storage.open(&world.path("folder/a"), Access::Write);
    let below_a_file = world.storage.open(&world.path("file/a"), Access::Write);

    assert_eq!(kind(without), io::ErrorKind::NotFound);
    assert_eq!(kind(below_a_file), io::ErrorKind::NotADirectory);
}

fn what_is_written_is_read_by_every_process(world: &World) {
    let file = world.open("a");
    let theirs = world.other.open(&world.path("a"), Access::Write).unwrap();

    file.write_at(0, b"0123").unwrap();
    theirs.write_at(2, b"AB").unwrap();

    assert_eq!(read(&*file), b"01AB");
    assert_eq!(read(&*theirs), b"01AB");
}

fn a_read_ends_at_the_end_of_the_file(world: &World) {
    world.write("a", b"012345");
    let file = world.open("a");
    let mut buf = [b'-'; 4];

    assert_eq!(file.read_at(4, &mut buf).unwrap(), 2);
    assert_eq!(&buf, b"45--");
    assert_eq!(file.read_at(6, &mut buf).unwrap(), 0);
    assert_eq!(file.read_at(1 << 40, &mut buf).unwrap(), 0);
}

fn a_write_behind_the_end_leaves_zeros_between(world: &World) {
    world.write("a", b"ab");

    world.open("a").write_at(4, b"cd").unwrap();

    assert_eq!(world.read("a"), b"ab\0\0cd");
}

fn a_file_that_was_opened_to_be_read_cannot_be_written(world: &World) {
    world.write("a", b"ab");
    let file = world.storage.open(&world.path("a"), Access::Read).unwrap();

    assert!(file.write_at(0, b"c").is_err());
    assert!(file.set_len(0).is_err());
    assert_eq!(world.read("a"), b"ab");
}

fn a_file_can_be_cut_and_lengthened(world: &World) {
    world.write("a", b"0123");
    let file = world.open("a");

    file.set_len(2).unwrap();
    file.set_len(3).unwrap();

    assert_eq!(world.read("a"), b"01\0");
}

fn an_empty_write_changes_nothing(world: &World) {
    world.write("a", b"0123");

    world.open("a").write_at(10, b"").unwrap();

    assert_eq!(world.read("a"), b"0123");
}

fn a_sync_succeeds(world: &World) {
    let file = world.open("a");
    file.write_at(0, b"0").unwrap();

    file.sync_data().unwrap();
    world.storage.sync_dir(&world.root).unwrap();

    assert_eq!(world.read("a"), b"0");
}

fn status_tells_length_identity_and_whether_it_has_a_name(world: &World) {
    world.write("a", b"0123");
    world.write("b", b"");
    let file = world.open("a");
    let before = file.status().unwrap();

    world.storage.remove(&world.path("a")).unwrap();

    let after = file.status().unwrap();
    assert_eq!((before.len, before.linked), (4, true));
    assert_eq!((after.len, after.linked), (4, false));
    assert_eq!(before.id, after.id);
    assert_ne!(before.id, world.open("b").status().unwrap().id);
    let year_2020 = 1_577_836_800_000;
    assert!(before.modified > year_2020);
}

fn an_open_file_outlives_its_name(world: &World) {
    let file = world.open("a");

    world.storage.remove(&world.path("a")).unwrap();
    file.write_at(0, b"01").unwrap();

    assert_eq!(read(&*file), b"01");
    assert_eq!(world.names(""), []);
}
