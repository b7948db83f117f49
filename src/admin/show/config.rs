//! SHOW CONFIG: the configuration in force.

use super::Show;
use crate::admin::table::Column::Text;
use crate::admin::table::Row;
use crate::view::{Proxy, Setting};

pub(super) const SHOW: Show = Show {
    name: "CONFIG",
    help: "the configuration in force, without secrets",
    columns: &[Text("key"), Text("value"), Text("default"), Text("changeable")],
    rows: |view: &Proxy| view.config.iter().map(row).collect(),
};

fn row(setting: &Setting) -> Row {
    vec![
        setting.key.as_str().into(),
        setting.value.as_str().into(),
        setting.default.as_deref().into(),
        if setting.changeable { "yes" } else { "no" }.into(),
    ]
}
