//! SHOW LISTEN: the connections that listen for clients.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::view::Proxy;

pub(super) const SHOW: Show = Show {
    name: "LISTEN",
    help: "connections that listen to notifications for clients",
    columns: &[Text("cluster"), Text("database"), Text("node"), Int("channels"), Int("listeners")],
    rows: |view: &Proxy| {
        let row = |hub: &crate::view::Listening| {
            vec![
                (&hub.cluster).into(),
                (&hub.database).into(),
                hub.node.as_ref().into(),
                hub.channels.into(),
                hub.listeners.into(),
            ]
        };
        view.listening.iter().map(row).collect()
    },
};
