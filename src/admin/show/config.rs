//! SHOW CONFIG: the configuration in force.

use super::Show;
use crate::admin::table::Column::Text;
use crate::admin::table::{Cell, Row};
use crate::view::{Proxy, Setting};

pub(super) const SHOW: Show = Show {
    name: "CONFIG",
    help: "the configuration in force, without secrets",
    columns: &[Text("key"), Text("value"), Text("default"), Text("changeable")],
    rows: |view: &Proxy| view.config.iter().map(row).chain([limit_of_clients(view)]).collect(),
};

/// What tools made for PgBouncer hold the number of clients against.
fn limit_of_clients(view: &Proxy) -> Row {
    let limit: u64 = view.clusters.iter().map(|cluster| cluster.limits.max_clients).sum();
    vec!["max_client_conn".into(), limit.to_string().into(), Cell::Null, "yes".into()]
}

fn row(setting: &Setting) -> Row {
    vec![
        setting.key.as_str().into(),
        setting.value.as_str().into(),
        setting.default.as_deref().into(),
        if setting.changeable { "yes" } else { "no" }.into(),
    ]
}
