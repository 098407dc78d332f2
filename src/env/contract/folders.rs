//! Folders and the names in them.

use std::io;

use super::{World, contract, kind, read};
use crate::env::Entry;

contract! {
    a_rename_replaces
    a_folder_can_be_renamed
    folders_are_made_with_those_above_them
    a_folder_of_that_name_is_no_error_but_a_file_is
    only_an_empty_folder_can_be_removed
    a_listing_tells_files_from_folders
    what_is_missing_is_not_found
}

fn a_rename_replaces(world: &World) {
    world.write("a", b"new");
    world.write("b", b"old");
    let old = world.open("b");

    world.storage.rename(&world.path("a"), &world.path("b")).unwrap();

    assert_eq!(world.read("b"), b"new");
    assert_eq!(read(&*old), b"old");
    assert!(!old.status().unwrap().linked);
    assert_eq!(world.names("").len(), 1);
}

fn a_folder_can_be_renamed(world: &World) {
    world.storage.create_dir(&world.path("a")).unwrap();
    world.write("a/file", b"0");

    world.storage.rename(&world.path("a"), &world.path("b")).unwrap();

    assert_eq!(world.read("b/file"), b"0");
    assert_eq!(world.names("").len(), 1);
}

fn folders_are_made_with_those_above_them(world: &World) {
    world.storage.create_dir(&world.path("a/b/c")).unwrap();

    assert_eq!(world.names("a/b"), [Entry { name: "c".to_owned(), is_dir: true }]);
}

fn a_folder_of_that_name_is_no_error_but_a_file_is(world: &World) {
    world.write("file", b"");
    world.storage.create_dir(&world.path("a")).unwrap();

    world.storage.create_dir(&world.path("a")).unwrap();

    assert_eq!(kind(world.storage.create_dir(&world.path("file"))), io::ErrorKind::AlreadyExists);
}

fn only_an_empty_folder_can_be_removed(world: &World) {
    world.storage.create_dir(&world.path("a")).unwrap();
    world.write("a/file", b"");

    let full = world.storage.remove_dir(&world.path("a"));
    world.storage.remove(&world.path("a/file")).unwrap();
    world.storage.remove_dir(&world.path("a")).unwrap();

    assert_eq!(kind(full), io::ErrorKind::DirectoryNotEmpty);
    assert_eq!(world.names(""), []);
}

fn a_listing_tells_files_from_folders(world: &World) {
    world.write("file", b"");
    world.storage.create_dir(&world.path("folder")).unwrap();

    let entry = |name: &str, is_dir| Entry { name: name.to_owned(), is_dir };
    assert_eq!(world.names(""), [entry("file", false), entry("folder", true)]);
}

fn what_is_missing_is_not_found(world: &World) {
    let (storage, missing) = (&world.storage, world.path("a"));

    assert_eq!(kind(storage.remove(&missing)), io::ErrorKind::NotFound);
    assert_eq!(kind(storage.remove_dir(&missing)), io::ErrorKind::NotFound);
    assert_eq!(kind(storage.rename(&missing, &world.path("b"))), io::ErrorKind::NotFound);
    assert_eq!(kind(storage.list(&missing)), io::ErrorKind::NotFound);
    assert_eq!(kind(storage.sync_dir(&missing)), io::ErrorKind::NotFound);
}
