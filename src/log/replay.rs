//! What a segment says of producers and their transactions, read again.

use bytes::Bytes;

use crate::error::{AtPosition, Result};
use crate::log::aborted::AbortedTransaction;
use crate::log::producers::Producers;
use crate::log::scan::{Check, Found, Scan};
use crate::log::segment::Segment;
use crate::record::Batch;
use crate::record::control::EndTransactionMarker;

/// A control batch decompresses to no more than this.
const CONTROL_LIMIT: usize = 1 << 20;

/// Takes in the batches of a segment from the one that holds `from` to the position `end`; gives the
/// transactions that they abort.
pub(crate) fn replay(
    segment: &Segment,
    from: i64,
    end: u64,
    producers: &mut Producers,
) -> Result<Vec<AbortedTransaction>> {
    let start = segment.find(from, end)?;
    let mut scan = Scan::new(&*segment.log, &segment.path, start, end, Check::Headers);
    let mut aborted = Vec::new();
    loop {
        let position = scan.position();
        let info = match scan.next()? {
            Found::Batch(info) => info,
            Found::End => return Ok(aborted),
            Found::Bad(what) => return Err(what).at_position(&segment.path, position),
        };
        let mut ends = None;
        if info.is_control {
            let bytes = Bytes::copy_from_slice(scan.last(info.size)?);
            let batch = Batch::decode(bytes, CONTROL_LIMIT);
            ends = batch
                .and_then(|batch| EndTransactionMarker::of(&batch))
                .at_position(&segment.path, position)?;
        }
        if info.is_control && ends.is_none() {
            continue;
        }
        aborted.extend(producers.replay(&info, ends));
    }
}
