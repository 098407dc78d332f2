//! Folders of a run, for mounts and files: they go with it, or, when it was killed, with the next.

use std::path::{Path, PathBuf};
use std::{fs, process};

use crate::mounts::{Failure, run, text};

const PREFIX: &str = "brokerless-machine-";
const FOLDERS: [&str; 3] = ["work", "crash", "fuse"];

/// A folder for mounts, in memory.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Result<Self, Failure> {
        let path = memory().join(name());
        for folder in FOLDERS {
            fs::create_dir_all(path.join(folder))?;
        }
        Ok(Self(path))
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn memory() -> &'static Path {
    Path::new("/dev/shm")
}

/// A name for what this process makes.
pub fn name() -> String {
    format!("{PREFIX}{}", process::id())
}

/// Removes what runs have left that were killed.
pub fn clean() -> Result<(), Failure> {
    for place in left_in(memory())? {
        for folder in FOLDERS {
            let at = place.join(folder);
            // What was mounted by a process that is gone may be broken.
            while run("umount", &["--lazy", text(&at)]).is_ok() {}
        }
        detach(&place)?;
        remove(&place);
    }
    for folder in left_in(&std::env::temp_dir())? {
        fs::remove_dir_all(folder)?;
    }
    Ok(())
}

/// Folders of processes that are no more.
fn left_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut left = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let owner = name.strip_prefix(PREFIX).filter(|id| id.parse::<u32>().is_ok());
        if owner.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            left.push(path);
        }
    }
    Ok(left)
}

/// Lets go of the loop devices on files of the folder.
fn detach(place: &Path) -> Result<(), Failure> {
    let within = format!("{}/", text(place));
    for line in run("losetup", &["--list", "--noheadings", "--output", "NAME,BACK-FILE"])?.lines() {
        if let Some((device, file)) = line.split_once(' ')
            && file.trim().starts_with(&within)
        {
            run("losetup", &["--detach", device])?;
        }
    }
    Ok(())
}

/// Nothing but files in memory and empty folders: a mount that is left stays.
fn remove(place: &Path) {
    for folder in FOLDERS {
        let _ = fs::remove_dir(place.join(folder));
    }
    let _ = fs::remove_file(place.join("image"));
    let _ = fs::remove_dir(place);
}
