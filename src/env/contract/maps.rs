//! Shared memory, and what else a world tells.

use std::io;
use std::sync::atomic::Ordering;

use super::{World, contract, kind};

contract! {
    a_map_is_shared
    a_map_lengthens_its_file_and_never_shortens_it
    a_map_at_a_position_is_that_part_of_the_file
    a_map_begins_at_an_allowed_position
    maps_of_one_file_can_lie_side_by_side
    a_read_sees_what_a_map_stored
    nothing_here_is_on_a_network
    the_boot_id_stays
}

fn a_map_is_shared(world: &World) {
    let ours = world.storage.map(&world.path("m"), 0, 512).unwrap();
    let theirs = world.other.map(&world.path("m"), 0, 512).unwrap();
    assert!(ours.words().iter().all(|word| word.load(Ordering::Relaxed) == 0));

    ours.words()[511].store(7, Ordering::Release);
    theirs.halves()[3].fetch_add(9, Ordering::Release);

    assert_eq!((ours.words().len(), ours.halves().len()), (512, 1024));
    assert_eq!(theirs.words()[511].load(Ordering::Acquire), 7);
    assert_eq!(ours.halves()[3].load(Ordering::Acquire), 9);
    assert_eq!(ours.words().as_ptr().addr() % 64, 0);
}

fn a_map_lengthens_its_file_and_never_shortens_it(world: &World) {
    let longer = vec![1; 5000];
    world.write("long", &longer);
    world.write("short", b"1");

    let _long = world.storage.map(&world.path("long"), 0, 8).unwrap();
    let _short = world.storage.map(&world.path("short"), 0, 8).unwrap();

    assert_eq!(world.read("long"), longer);
    assert_eq!(world.read("short").len(), 64);
}

fn a_map_at_a_position_is_that_part_of_the_file(world: &World) {
    let bytes = u64::to_ne_bytes(0x0102_0304_0506_0708);
    world.open("m").write_at(64 * 1024 + 8, &bytes).unwrap();

    let map = world.storage.map(&world.path("m"), 64 * 1024, 16).unwrap();

    assert_eq!(map.words()[0].load(Ordering::Relaxed), 0);
    assert_eq!(map.words()[1].load(Ordering::Relaxed), 0x0102_0304_0506_0708);
}

fn a_map_begins_at_an_allowed_position(world: &World) {
    let map = |position, words| world.storage.map(&world.path("m"), position, words);

    assert_eq!(kind(map(4096, 8)), io::ErrorKind::InvalidInput);
    assert_eq!(kind(map(0, 0)), io::ErrorKind::InvalidInput);
    assert_eq!(world.names(""), []);
}

fn maps_of_one_file_can_lie_side_by_side(world: &World) {
    let words = 64 * 1024 / 8;
    let first = world.storage.map(&world.path("m"), 0, words).unwrap();
    let second = world.storage.map(&world.path("m"), 64 * 1024, words).unwrap();
    let part = world.other.map(&world.path("m"), 64 * 1024, 8).unwrap();

    first.words()[0].store(1, Ordering::Relaxed);
    second.words()[0].store(2, Ordering::Relaxed);

    assert_eq!(part.words()[0].load(Ordering::Relaxed), 2);
    assert_eq!(first.words()[0].load(Ordering::Relaxed), 1);
}

fn a_read_sees_what_a_map_stored(world: &World) {
    let map = world.storage.map(&world.path("m"), 0, 4).unwrap();

    map.words()[2].store(u64::from_ne_bytes(*b"abcdefgh"), Ordering::Release);

    assert_eq!(&world.read("m")[14..26], b"\0\0abcdefgh\0\0");
}

fn nothing_here_is_on_a_network(world: &World) {
    assert_eq!(world.storage.network_file_system(&world.root).unwrap(), None);
    assert_eq!(world.storage.network_file_system(&world.path("not/there")).unwrap(), None);
}

fn the_boot_id_stays(world: &World) {
    assert_eq!(world.storage.boot_id(), world.other.boot_id());
    assert!(cfg!(not(target_os = "linux")) || !world.storage.boot_id().is_empty());
}
