//! SHOW PREPARED: the prepared statements that clients share.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::Row;
use crate::view::{Prepared, Proxy};

pub(super) const SHOW: Show = Show {
    name: "PREPARED",
    help: "prepared statements that clients have, the most shared first",
    columns: &[
        Text("cluster"),
        Text("name"),
        Int("clients"),
        Int("bytes"),
        Text("primary"),
        Text("query"),
    ],
    rows: |view: &Proxy| view.prepared.iter().map(row).collect(),
};

fn row(prepared: &Prepared) -> Row {
    vec![
        (&prepared.cluster).into(),
        prepared.name.clone().into(),
        prepared.clients.into(),
        prepared.bytes.into(),
        prepared.primary.map(str::to_owned).into(),
        prepared.query.clone().into(),
    ]
}
