//! Switchover: somebody wants another primary, and no client notices more than a pause.

use crate::load::Writers;
use crate::measure::{report, runs};
use crate::scene::{DEPOSED, PRIMARY, TERM, scene};
use crate::support::ask::{refused, value};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switchover_under_load_costs_no_error_and_no_write() {
    let mut stalls = Vec::new();
    for run in 0..2 * runs() {
        let guarantee = ["strict", "available"][run % 2];
        let keys = format!("mode = \"manual\"\nguarantee = \"{guarantee}\"");
        let scene = scene(&keys).await;
        let idle = scene.running.connect().await;
        idle.batch_execute("SET work_mem = '5MB'").await.unwrap();
        let prepared = idle.prepare("SELECT 7 + $1::int4").await.unwrap();
        let writers = Writers::start(&scene.running, 8);
        writers.go_on(200).await;
        scene.running.admin("SWITCHOVER test TO b").await;
        writers.go_on(200).await;
        let told = writers.stop().await;
        assert_eq!(scene.term(PRIMARY).await, "b");
        assert_eq!(scene.term(DEPOSED).await, "a");
        assert!(told.errors.is_empty(), "{:?}", told.errors);
        assert_eq!(told.hold_against(scene.node("b")).await, Vec::<i64>::new());
        // The session lived through it with all that it had.
        assert_eq!(value(&idle, "SHOW work_mem").await, "5MB");
        let row = idle.query_one(&prepared, &[&1_i32]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 8);
        stalls.push(told.stall);
    }
    report("switchover, strict and available in turn", &stalls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_stop_a_switchover_is_said_before_anything_is_done() {
    let scene = scene("mode = \"manual\"\nguarantee = \"available\"").await;
    let url =
        format!("host=127.0.0.1 port={} user=x dbname=tidegate", scene.running.console.port());
    let console = scene.running.connect_with(&url).await.unwrap();
    let why = refused(&console, "SWITCHOVER test TO z").await;
    assert!(why.contains("z is not a standby of a that answers"), "{why}");
    let why = refused(&console, "FAILOVER test").await;
    assert!(why.contains("that is a SWITCHOVER"), "{why}");
    console.batch_execute("SWITCHOVER test TO b DRY RUN").await.unwrap();
    assert_eq!((scene.term(PRIMARY).await, scene.term(TERM).await), ("a".into(), "1".into()));
}
