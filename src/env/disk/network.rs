//! File systems that several machines share.

use std::io;
use std::path::Path;

/// The network file system that holds `path`, or that will hold it once it is made.
pub(super) fn holding(path: &Path) -> io::Result<Option<&'static str>> {
    // What does not exist yet will be made on the file system of the nearest folder above.
    for folder in path.ancestors() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        match rustix::fs::statfs(folder) {
            Err(rustix::io::Errno::NOENT) => {}
            other => return Ok(kind(folder, &other?)),
        }
    }
    Ok(None)
}

/// FUSE is many: who serves it stands in the list of mounts. Most of it is local.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn kind(folder: &Path, stat: &rustix::fs::StatFs) -> Option<&'static str> {
    const FUSE: u32 = 0x6573_5546;

    match stat.f_type as u32 {
        FUSE => {
            use std::os::unix::fs::MetadataExt as _;

            let device = std::fs::metadata(folder).ok()?.dev();
            served(&std::fs::read_to_string("/proc/self/mountinfo").ok()?, device)
        }
        magic => by_magic(magic),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn by_magic(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x0000_6969 => "nfs",
        0x0000_517b => "smb",
        0xff53_4d42 => "cifs",
        0xfe53_4d42 => "smb2",
        0x0102_1997 => "9p",
        0x5346_414f | 0x6b41_4653 => "afs",
        0x00c3_6400 => "ceph",
        0x7375_7245 => "coda",
        0x0116_1970 => "gfs2",
        0x7461_636f => "ocfs2",
        0x0bd0_0bd0 => "lustre",
        0x4750_4653 => "gpfs",
        0x1983_0326 => "beegfs",
        0x2003_0528 => "orangefs",
        0xaad7_aaea => "panfs",
        0xbeef_dead => "snfs",
        0x6163_6673 => "acfs",
        0x0000_564c => "ncp",
        // Folders that a virtual machine shares with its host.
        0x786f_4256 => "vboxsf",
        0xbacb_acbc => "vmhgfs",
        0x7c7c_6673 => "prl_fs",
        _ => return None,
    })
}

/// What FUSE serves from other machines; `virtiofs` comes from the host of a virtual one.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SERVED: [&str; 16] = [
    "virtiofs",
    "fuse.ceph",
    "fuse.ceph-fuse",
    "fuse.curlftpfs",
    "fuse.gcsfuse",
    "fuse.glusterfs",
    "fuse.goofys",
    "fuse.juicefs",
    "fuse.lizardfs",
    "fuse.moosefs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.seaweedfs",
    "fuse.smbnetfs",
    "fuse.sshfs",
    "fuse.vmhgfs-fuse",
];

/// The entry of [`SERVED`] that is mounted as `device`, by the lines of `mountinfo`:
///
/// ```text
/// 36 35 0:50 / /mnt rw,noatime shared:1 - fuse.sshfs host:/folder rw
/// ```
#[cfg(any(target_os = "linux", target_os = "android"))]
fn served(mounts: &str, device: u64) -> Option<&'static str> {
    let number = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let mut lines = mounts.lines().filter(|line| line.split(' ').nth(2) == Some(&number));
    let kind = lines.find_map(|line| line.split_once(" - ")?.1.split(' ').next())?;
    SERVED.into_iter().find(|known| *known == kind)
}

#[cfg(target_vendor = "apple")]
fn kind(_folder: &Path, stat: &rustix::fs::StatFs) -> Option<&'static str> {
    let name: Vec<u8> =
        stat.f_fstypename.iter().map(|c| *c as u8).take_while(|c| *c != 0).collect();
    ["nfs", "smbfs", "afpfs", "webdav", "ftp"].into_iter().find(|kind| kind.as_bytes() == name)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_their_number() {
        let known = [
            (0x6969, "nfs"),
            (0x517b, "smb"),
            (0xff53_4d42, "cifs"),
            (0xfe53_4d42, "smb2"),
            (0x0102_1997, "9p"),
            (0x00c3_6400, "ceph"),
            (0x0116_1970, "gfs2"),
            (0x7461_636f, "ocfs2"),
            (0x786f_4256, "vboxsf"),
        ];
        let (ext4, xfs, btrfs, tmpfs, overlay) =
            (0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630);

        for (magic, name) in known {
            assert_eq!(by_magic(magic), Some(name));
        }
        for local in [ext4, xfs, btrfs, tmpfs, overlay] {
            assert_eq!(by_magic(local), None);
        }
    }

    #[test]
    fn what_fuse_serves_is_known_by_the_list_of_mounts() {
        let mounts = "22 1 254:0 / / rw - ext4 /dev/vda rw\n\
                      36 22 0:50 / /a rw,noatime shared:1 - fuse.sshfs host:/folder rw\n\
                      37 22 0:51 / /b rw - fuse.ntfs-3g /dev/sdb rw\n\
                      38 22 0:52 / /c rw - virtiofs host rw\n";
        let served = |minor| served(mounts, rustix::fs::makedev(0, minor));

        assert_eq!(served(50), Some("fuse.sshfs"));
        assert_eq!(served(51), None, "a disk");
        assert_eq!(served(52), Some("virtiofs"));
        assert_eq!(served(53), None);
    }
}
