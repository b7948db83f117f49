//! What takes memory, as far as it is known.

use crate::app::control::Console;
use crate::net::{SCRATCH_SIZE, scratch_buffers};
use crate::view::Memory;
use crate::{mysql, pg, sql};

pub(super) fn memory(console: &Console) -> Vec<Memory> {
    let mut all = vec![of_one("read_buffer", SCRATCH_SIZE, scratch_buffers())];
    let clients = [
        (size_of::<pg::registry::ClientEntry>(), console.engine.clients.len()),
        (size_of::<mysql::registry::ClientEntry>(), console.mysql.clients.len()),
    ];
    let servers = [
        (size_of::<pg::registry::ServerEntry>(), console.engine.servers.len()),
        (size_of::<mysql::registry::ServerEntry>(), console.mysql.servers.len()),
    ];
    for (name, [postgres, mysql]) in [("client", clients), ("server", servers)] {
        all.push(of_one(&format!("{name}_postgres"), postgres.0, postgres.1));
        all.push(of_one(&format!("{name}_mysql"), mysql.0, mysql.1));
    }
    for cluster in &console.engine.clusters {
        all.push(shapes(&cluster.name, cluster.classifier.stats()));
        let (count, bytes) = (cluster.statements.len() as u64, cluster.statements.weight());
        all.push(of_many(format!("prepared_statement/{}", cluster.name), (count, 0), bytes));
    }
    for cluster in &console.mysql.clusters {
        all.push(shapes(&cluster.name, cluster.classifier.stats()));
        let (count, bytes) = cluster.prepared();
        all.push(of_many(format!("prepared_statement/{}", cluster.name), (count, 0), bytes));
    }
    all.extend(resident().map(|bytes| of_many("process".into(), (1, 0), bytes)));
    all
}

fn of_one(name: &str, size: usize, used: usize) -> Memory {
    let (size, used) = (size as u64, used as u64);
    Memory { name: name.into(), size: Some(size), used, free: 0, total: size * used }
}

fn of_many(name: String, (used, free): (u64, u64), total: u64) -> Memory {
    Memory { name, size: None, used, free, total }
}

/// There is room for so many more as are like those that are there.
fn shapes(cluster: &str, stats: sql::Stats) -> Memory {
    let each = stats.bytes / stats.entries.max(1);
    let free = stats.limit.saturating_sub(stats.bytes).checked_div(each).unwrap_or(0);
    of_many(format!("shape_cache/{cluster}"), (stats.entries, free), stats.bytes)
}

/// What the kernel counts: VmRSS of proc(5), in bytes.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
