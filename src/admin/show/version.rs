//! SHOW VERSION: what runs here, and for how long.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::view::{Proxy, timestamp};

pub(super) const SHOW: Show = Show {
    name: "VERSION",
    help: "what runs here, and since when",
    columns: &[Text("version"), Text("started"), Int("uptime_s")],
    rows: |view: &Proxy| {
        let version = format!("Tidegate {}", view.version);
        vec![vec![version.into(), timestamp(view.started).into(), view.uptime.as_secs().into()]]
    },
};
