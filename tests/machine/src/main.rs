//! Crashes of a whole machine, on real file systems.
//!
//! Real processes work on a file system whose disk remembers every write and flush, and between
//! them what was acknowledged. Then that disk is cut off at many moments, what was not flushed is
//! there or not, in part or whole, and what is found must be what was promised.
//!
//! ```text
//! machine crashes ext4|xfs|btrfs [images] [operations]
//! machine sync-failures rounds
//! machine clean
//! ```
//!
//! The second lets syncs of one of several processes fail (with `strace`), in a folder of `TMPDIR`.
//! The third removes what runs have left that were killed: mounts, loop devices, folders.
//!
//! Needs root, `/dev/fuse` and loop devices. `SEED` repeats a choice of moments.

mod check;
mod device;
mod images;
mod mounts;
mod place;
mod sync_failures;
mod work;

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use check::{Promised, Verdict, check};
use device::{DISK, Device, MARKS, Op};
use images::{Dice, Disk, FATES, save};
use mounts::{Failure, Fs, Loop, Mount, text};
use place::Place;

/// The name of the directory on the file system.
const DATA: &str = "data";
/// Operations on a slow machine may take as long.
const LONGEST: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["crashes", fs] => crashes(fs, "200", "4000"),
        ["crashes", fs, images] => crashes(fs, images, "4000"),
        ["crashes", fs, images, operations] => crashes(fs, images, operations),
        ["sync-failures", rounds] => sync_failures(rounds),
        ["clean"] => place::clean().map(|()| true),
        ["work", role, dir, marks, name] => {
            work::play(role, Path::new(dir), Path::new(marks), name).map(|()| true)
        }
        _ => Err(
            "machine crashes ext4|xfs|btrfs [images] [operations], machine sync-failures rounds, or machine clean"
                .into(),
        ),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn seed() -> Result<u64, Failure> {
    let seed = match std::env::var("SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => u64::from(std::process::id()).wrapping_mul(0x9e37_79b9_7f4a_7c15),
    };
    println!("SEED={seed}");
    Ok(seed)
}

fn sync_failures(rounds: &str) -> Result<bool, Failure> {
    place::clean()?;
    let place = std::env::temp_dir().join(place::name());
    let done = sync_failures::run(&place, rounds.parse()?, seed()?);
    let _ = std::fs::remove_dir_all(&place);
    done
}

/// `false` if something was lost or wrong.
fn crashes(fs: &str, images: &str, operations: &str) -> Result<bool, Failure> {
    let fs = Fs::parse(fs).ok_or("one of ext4, xfs and btrfs is due")?;
    let seed = seed()?;
    place::clean()?;
    let place = Place::new()?;
    let began = Instant::now();
    let device = Device::new(fs.size());
    let start = record(&device, fs, &place, operations.parse()?)?;
    println!("recorded in {:?}", began.elapsed());
    let log = device.log();
    judge(&log.ops, start, fs, &place, images.parse()?, seed)
}

/// Processes that are killed at the end.
struct Workers(Vec<Child>);

impl Drop for Workers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Lets processes work until the disk has seen so many operations; gives the number of the first
/// that is theirs.
fn record(device: &Device, fs: Fs, place: &Place, operations: usize) -> Result<usize, Failure> {
    let fuse = fuser::spawn_mount2(device.clone(), place.at("fuse"), &fuser::Config::default())?;
    let start = {
        let device_of_loop = Loop::on(&place.at("fuse").join(DISK))?;
        fs.make(&device_of_loop.0)?;
        let _mount = Mount::of(&device_of_loop.0, fs, &place.at("work"))?;
        let dir = place.at("work").join(DATA);
        work::prepare(&dir)?;
        mounts::run("sync", &["--file-system", text(&dir)])?;
        let start = device.log().ops.len();
        let mut workers = Workers(Vec::new());
        for (role, name) in [
            ("writer", "ann"),
            ("writer", "bob"),
            ("writer", "eve"),
            ("committer", "com"),
            ("creator", "new"),
        ] {
            workers.0.push(begin(role, name, place)?);
        }
        let deadline = Instant::now() + LONGEST;
        while device.log().ops.len() < start + operations && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
            for child in &mut workers.0 {
                if let Some(status) = child.try_wait()? {
                    return Err(format!("a process has ended: {status}").into());
                }
            }
        }
        start
    };
    fuse.umount_and_join()?;
    Ok(start)
}

fn begin(role: &str, name: &str, place: &Place) -> Result<Child, Failure> {
    let program = std::env::current_exe()?;
    let (dir, marks) = (place.at("work").join(DATA), place.at("fuse").join(MARKS));
    let args = ["work", role, text(&dir), text(&marks), name];
    // It ends with its input, and so with us.
    Ok(Command::new(program).args(args).stdin(Stdio::piped()).spawn()?)
}

fn judge(
    ops: &[Op],
    start: usize,
    fs: Fs,
    place: &Place,
    images: usize,
    seed: u64,
) -> Result<bool, Failure> {
    let marks: Vec<usize> =
        (start..ops.len()).filter(|at| matches!(ops[*at], Op::Mark(_))).collect();
    let flushes = ops[start..].iter().filter(|op| matches!(op, Op::Flush)).count();
    println!(
        "{}: {} operations, {flushes} flushes, {} acknowledged",
        fs.name(),
        ops.len() - start,
        marks.len()
    );
    if marks.is_empty() {
        return Err("nothing was acknowledged".into());
    }
    let mut dice = Dice(seed);
    let mut moments: Vec<usize> = (0..images)
        .map(|image| match image % 2 {
            // Just after somebody was told that all is safe.
            0 => marks[dice.roll(marks.len() as u64) as usize] + 1,
            _ => start + dice.roll((ops.len() - start) as u64) as usize,
        })
        .collect();
    moments.sort_unstable();
    let (mut disk, mut promised, mut heard) = (Disk::new(ops), Promised::default(), start);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut choices, mut checked) = (0, 0);
    for (number, moment) in moments.into_iter().enumerate() {
        disk.advance(moment);
        for op in &ops[heard..moment] {
            if let Op::Mark(mark) = op {
                promised.hear(mark).ok_or_else(|| format!("what is {mark:?}?"))?;
            }
        }
        heard = moment;
        let fate = FATES[number % FATES.len()];
        let (blocks, pending) = disk.crash(moment, fate, &mut dice);
        choices += pending;
        checked += promised.count();
        save(&blocks, fs.size(), &place.at("image"))?;
        let (word, what) = open(fs, place, &promised, dice.roll(u64::MAX));
        *counts.entry(word).or_default() += 1;
        if word != "right" && counts[word] <= 5 {
            println!("{word}, before operation {moment}, {fate:?}: {what}");
        }
    }
    println!(
        "{}: {images} images, {choices} unflushed writes, {checked} promises checked: {counts:?}",
        fs.name()
    );
    Ok(counts.keys().all(|word| *word == "right"))
}

/// Mounts the image as after a crash, and looks.
fn open(fs: Fs, place: &Place, promised: &Promised, boot: u64) -> (&'static str, String) {
    let opened = || -> Result<Verdict, Failure> {
        let device = Loop::on(&place.at("image"))?;
        let _mount = Mount::of(&device.0, fs, &place.at("crash"))?;
        let dir = place.at("crash").join(DATA);
        another_boot(&dir, boot)?;
        Ok(check(&dir, promised))
    };
    match opened() {
        Ok(Verdict::Right) => ("right", String::new()),
        Ok(Verdict::Lost(what)) => ("lost", what),
        Ok(Verdict::Wrong(what)) => ("wrong", what),
        Ok(Verdict::Refused(what)) => ("refused", what),
        Err(error) => ("not mounted", error.to_string()),
    }
}

/// Of the image's own machine nothing is left: the shared memory in it was of another boot.
fn another_boot(dir: &Path, boot: u64) -> Result<(), Failure> {
    let path = dir.join(".brokerless-control");
    if !path.exists() {
        return Ok(());
    }
    let file = std::fs::OpenOptions::new().write(true).open(path)?;
    if file.metadata()?.len() >= 24 {
        file.write_all_at(&(boot | 1).to_ne_bytes(), 16)?;
    }
    Ok(())
}
