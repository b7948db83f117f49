//! SHOW HELP: every command, in one line each.

use super::{SHOWS, Show};
use crate::admin::act::ACTIONS;
use crate::admin::table::Column::Text;
use crate::admin::table::Row;
use crate::view::Proxy;

pub(super) const SHOW: Show =
    Show { name: "HELP", help: "this list", columns: &[Text("command"), Text("does")], rows };

fn rows(_: &Proxy) -> Vec<Row> {
    let shows = SHOWS.iter().map(|s| vec![format!("SHOW {}", s.name).into(), s.help.into()]);
    shows.chain(ACTIONS.iter().map(|a| vec![a.usage.into(), a.help.into()])).collect()
}
