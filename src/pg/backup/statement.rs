//! The text of BASE_BACKUP, which PostgreSQL 15 gave another form.
//!
//! Source: PostgreSQL documentation, "Streaming Replication Protocol".

/// The first version whose options stand in parentheses, and whose archives come in one copy.
pub(super) const OPTIONS_IN_PARENTHESES: u32 = 150_000;

/// `version`: `server_version_num`. `label` has no quotes in it.
///
/// The log is fetched beside it, so the server need not wait until it is archived.
pub(super) fn base_backup(version: u32, label: &str) -> String {
    if version < OPTIONS_IN_PARENTHESES {
        return format!(
            "BASE_BACKUP LABEL '{label}' PROGRESS FAST NOWAIT TABLESPACE_MAP MANIFEST 'yes'"
        );
    }
    format!(
        "BASE_BACKUP (LABEL '{label}', PROGRESS true, CHECKPOINT 'fast', WAIT false, \
         TABLESPACE_MAP true, MANIFEST 'yes')"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_gets_the_form_that_it_understands() {
        assert!(
            base_backup(140_023, "x").starts_with("BASE_BACKUP LABEL 'x' PROGRESS FAST NOWAIT")
        );
        assert!(base_backup(150_000, "x").starts_with("BASE_BACKUP (LABEL 'x', PROGRESS true"));
    }
}
