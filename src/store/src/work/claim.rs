//! What a worker's commit must assert: that the work is still its own, and that the rows are still to be done.

use wardstead_engine::{Batch, Expect, Losing};

use super::Layout;
use crate::{Found, lease::Fence};

/// What [`Losing::Fail`] says when the slots were cut into partitions anew.
pub(crate) const LAYOUT_CHANGED: &str = "the partitions have changed";

/// The version of every row of work. Asserting it is asserting that the row is there.
pub(crate) const ROW_VERSION: u64 = 1;

/// A worker's right to do some rows.
#[derive(Clone, Debug)]
pub struct Claim {
    fence: Fence,
    layout: Layout,
}

impl Claim {
    pub(crate) fn new(fence: Fence, layout: Layout) -> Self {
        Self { fence, layout }
    }

    /// Has `batch` remove `rows`, and win only when they are still there and the work is still this node's. A batch that
    /// takes the rows which it follows from happens once, whatever is killed or handed over meanwhile.
    pub fn take<R>(&self, batch: &mut Batch, rows: &[Found<R>]) {
        let mut ours = Batch::new();
        self.fence.assert(&mut ours);
        self.layout.assert(&mut ours, Losing::Fail(LAYOUT_CHANGED));
        for row in rows {
            ours.expect(row.key.clone(), Expect::Version(ROW_VERSION), Losing::Done(row.key.clone()));
            batch.delete(row.key.clone());
        }
        // First: a batch that is nobody's business any more is not built again because of something else.
        batch.assertions.splice(0..0, ours.assertions);
    }
}
