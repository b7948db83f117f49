//! SHOW MEM: what takes memory, in PgBouncer's columns.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::Row;
use crate::view::{Memory, Proxy};

pub(super) const SHOW: Show = Show {
    name: "MEM",
    help: "what takes memory: buffers, caches, statements, clients, and the whole process",
    columns: &[Text("name"), Int("size"), Int("used"), Int("free"), Int("memtotal")],
    rows: |view: &Proxy| view.memory.iter().map(row).collect(),
};

fn row(memory: &Memory) -> Row {
    vec![
        memory.name.clone().into(),
        memory.size.into(),
        memory.used.into(),
        memory.free.into(),
        memory.total.into(),
    ]
}
