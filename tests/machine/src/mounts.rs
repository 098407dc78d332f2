//! Mounts and loop devices, which go whatever happens.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub type Failure = Box<dyn std::error::Error>;

/// Runs a command; gives what it says.
pub fn run(name: &str, args: &[&str]) -> Result<String, Failure> {
    let output = Command::new(name).args(args).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} {}: {}", args.join(" "), said.trim()).into())
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("our own names are UTF-8")
}

/// A loop device on a file.
pub struct Loop(pub String);

impl Loop {
    pub fn on(file: &Path) -> Result<Self, Failure> {
        run("losetup", &["--find", "--show", text(file)]).map(Self)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        if let Err(error) = run("losetup", &["--detach", &self.0]) {
            eprintln!("{error}");
        }
    }
}

/// A mounted file system.
pub struct Mount(PathBuf);

impl Mount {
    pub fn of(device: &str, fs: Fs, at: &Path) -> Result<Self, Failure> {
        run("mount", &["-t", fs.name(), device, text(at)])?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if run("umount", &[text(&self.0)]).is_err()
            && let Err(error) = run("umount", &["--lazy", text(&self.0)])
        {
            eprintln!("{error}");
        }
    }
}

/// A file system of Linux.
#[derive(Clone, Copy)]
pub enum Fs {
    Ext4,
    Xfs,
    Btrfs,
}

impl Fs {
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Ext4, Self::Xfs, Self::Btrfs].into_iter().find(|fs| fs.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// Not much more than the least it takes.
    pub fn size(self) -> u64 {
        match self {
            Self::Ext4 => 128 << 20,
            Self::Xfs => 320 << 20,
            Self::Btrfs => 160 << 20,
        }
    }

    pub fn make(self, device: &str) -> Result<(), Failure> {
        let lazy = "nodiscard,lazy_itable_init=0,lazy_journal_init=0";
        match self {
            Self::Ext4 => run("mkfs.ext4", &["-q", "-F", "-E", lazy, device]),
            Self::Xfs => run("mkfs.xfs", &["-q", "-f", "-K", device]),
            Self::Btrfs => run("mkfs.btrfs", &["-q", "-f", "-K", device]),
        }
        .map(drop)
    }
}
