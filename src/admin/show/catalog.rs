//! SHOW CATALOG: what is known of the names in each database.

use super::Show;
use crate::admin::table::Column::{Int, Text};
use crate::admin::table::Row;
use crate::view::{Catalog, Proxy};

pub(super) const SHOW: Show = Show {
    name: "CATALOG",
    help: "what is known of the functions and relations of each database",
    columns: &[
        Text("cluster"),
        Text("database"),
        Text("state"),
        Int("age"),
        Int("functions"),
        Int("harmless"),
        Int("harmful_names"),
        Text("failure"),
    ],
    rows: |view: &Proxy| view.catalogs.iter().map(row).collect(),
};

fn row(catalog: &Catalog) -> Row {
    vec![
        (&catalog.cluster).into(),
        (&catalog.database).into(),
        if catalog.known { "known" } else { "unknown" }.into(),
        catalog.age.map(|age| age.as_secs()).into(),
        catalog.functions.into(),
        catalog.harmless.into(),
        catalog.harmful.into(),
        catalog.failure.clone().into(),
    ]
}
