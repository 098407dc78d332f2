//! Room ahead of a log's end (`preallocate`): a file as long as the segment may become, and zeros
//! already written where the next batches come.
//!
//! A sync of an append must also write down the file's new length and blocks, which takes the file
//! system a second flush. A sync of bytes written over others need not. So the file is allocated
//! when a segment's first batch comes, and written with zeros a stretch at a time, of which the
//! next sync makes true blocks. What is behind the published end is nobody's: readers stop before
//! it, and it is cut when the segment is sealed, when the directory is closed, and when recovery
//! finds the end. Having no room is no error: the file grows then.

use crate::config::TopicConfig;
use crate::engine::partition::Partition;
use crate::env::point::point;
use crate::error::Result;
use crate::log::segment::Segment;
use crate::log::tail::Tail;

/// Zeros written at a time: few enough that an append hardly waits for them, and that the sync
/// which makes them true takes no longer than some.
const STRETCH: u64 = 1 << 20;

/// A batch of so many bytes is written at once: it takes longer than the flush it would spare.
const LARGE: usize = 128 << 10;

/// Of a segment that gets no more room.
const NO_MORE: u64 = u64::MAX;

impl Partition {
    /// Sees to it that a batch of `size` bytes finds room. For the holder of the lock.
    pub(crate) fn make_room(
        &self,
        active: &Segment,
        tail: &Tail,
        size: usize,
        config: &TopicConfig,
    ) {
        if !config.preallocate {
            return;
        }
        let end = tail.end_position + size as u64;
        let room = self.page.room(tail.segment_base);
        if end <= room {
            return;
        }
        let ahead = if size < LARGE { STRETCH } else { 0 };
        let to = match extend(active, room, end, ahead, config.segment_bytes.into()) {
            Ok(to) => to,
            Err(error) => {
                log::warn!("no room ahead of the end, which is slower and no harm: {error}");
                NO_MORE
            }
        };
        self.page.set_room(tail.segment_base, to);
        point("room.made");
    }

    /// How long the file may be: with room, longer than what is published.
    pub(crate) fn longest(&self, tail: &Tail) -> u64 {
        let config = self.config();
        if config.preallocate {
            tail.end_position.max(config.segment_bytes.into())
        } else {
            tail.end_position
        }
    }

    /// Cuts what is not published, room included: it may have bytes in it.
    pub(crate) fn cut_behind(&self, active: &Segment, tail: &Tail) -> Result<()> {
        self.page.set_room(tail.segment_base, 0);
        active.cut(tail.end_position)
    }

    /// Gives the room back and makes that survive a crash. For the holder of the lock.
    pub(crate) fn trim(&self, active: &Segment, tail: &Tail) -> Result<()> {
        if active.len()? > tail.end_position {
            self.cut_behind(active, tail)?;
            self.sync_segment(active)?;
        }
        Ok(())
    }
}

/// Gives how far there is room: `ahead` of `end`, in a file of `most` bytes.
fn extend(active: &Segment, room: u64, end: u64, ahead: u64, most: u64) -> Result<u64> {
    if room == 0 {
        active.allocate(most)?;
    }
    let to = (end + ahead).min(most);
    active.write_zeros(end, to)?;
    Ok(if to == most { NO_MORE } else { to })
}
