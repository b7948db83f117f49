//! What a cluster looks like: nodes, roles, positions, and the snapshot that everyone reads.

mod decree;
mod position;
mod snapshot;

pub use decree::Decree;
pub use position::{
    GtidList, GtidSet, GtidState, History, Lsn, NoGtid, Position, ServerId, Timeline,
};
pub use snapshot::{Feed, Load, NodeId, NodeSet, NodeView, Published, Role, Snapshot, Standing};
