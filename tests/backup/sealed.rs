//! Encrypted backups: read with the key only, and not changed unseen.

use crate::archive::archived;
use crate::scene::{CONTENT, Scene, filled, scene};
use crate::support::proxy::proxy;
use std::fs;
use std::path::{Path, PathBuf};

const OLD: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90112233445566778899aabbccddeeff00\n";
const NEW: &str = "00ffeeddccbbaa998877665544332211908f7e6d5c4b3a291807f6e5d4c3b2a1\n";

/// Keys of these names, the first one encrypts. What the servers fetch themselves they must be able to read.
fn keys(scene: &Scene, names: &[&str]) -> String {
    for (name, text) in [("old", OLD), ("new", NEW)] {
        fs::write(scene.place(name), text).unwrap();
    }
    let one = |name: &&str| format!("{{ key_file = \"{}\" }}", scene.place(name).display());
    format!("keys = [{}]\n", names.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// All objects, the catalogue and the store's owner excepted.
fn objects(scene: &Scene) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&scene.place("store"), &mut found);
    found.retain(|path| path.extension().is_some_and(|kind| kind == "zst"));
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_has_the_key_restores_backup_and_log() {
    let mut scene = scene(filled(1_000).replicas(1), "").await;
    let with_key = keys(&scene, &["old"]);
    scene.reconfigure(&with_key);
    let backup = format!("store = \"file://{}\"\n{with_key}", scene.place("store").display());
    let running = proxy(&scene.servers).with("backup", &backup).start().await;
    let id = scene.backup().await;
    let node = scene.servers.primary();
    node.sql("INSERT INTO t VALUES (2000, 'later')").await.unwrap();
    archived(&scene, node).await;
    let before = node.value(CONTENT).await.unwrap();
    for path in objects(&scene) {
        assert!(fs::read(&path).unwrap().starts_with(b"TGSEAL1\n"), "{}", path.display());
    }
    let said = scene.run(&["backup", "verify"]).await;
    assert!(said.ok, "{}", said.err);
    let server = scene.restored("again", &[]).await;
    assert_eq!(server.node().value(CONTENT).await.unwrap(), before);
    drop(server);
    // Without the key, and with another one.
    for names in [&[][..], &["new"]] {
        let others = keys(&scene, names);
        scene.reconfigure(&others);
        for command in [&["backup", "verify"][..], &["backup", "restore", "--to", "/nowhere/x"]] {
            let said = scene.run(command).await;
            let named = format!("backups/{id}/contents.json.zst in the store");
            assert!(!said.ok && said.err.contains(&named), "{command:?}: {}", said.err);
            assert!(said.err.contains("encrypted with key "), "{}", said.err);
            assert!(said.err.contains("hint: clusters.NAME.backup.keys"), "{}", said.err);
        }
    }
    running.proxy.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_encrypts_and_the_old_one_still_opens() {
    let mut scene = scene(filled(10).replicas(1), "").await;
    let plain = scene.json(&["backup", "now"]).await;
    assert!(plain.get("key").is_none(), "{plain}");
    let old = keys(&scene, &["old"]);
    scene.reconfigure(&old);
    let first = scene.json(&["backup", "now"]).await;
    let both = keys(&scene, &["new", "old"]);
    scene.reconfigure(&both);
    let second = scene.json(&["backup", "now"]).await;
    assert_ne!(first["key"], second["key"]);
    for entry in [&plain, &first, &second] {
        let said =
            scene.run(&["backup", "verify", "--backup", entry["id"].as_str().unwrap()]).await;
        assert!(said.ok, "{}", said.err);
    }
    let shown = scene.run(&["backup", "show"]).await.out;
    assert!(
        shown.contains(&format!("encrypted with key {}", second["key"].as_str().unwrap())),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_in_the_place_of_another_is_refused() {
    let mut scene = scene(filled(10).replicas(1), "").await;
    let with_key = keys(&scene, &["old"]);
    scene.reconfigure(&with_key);
    let store = scene.store();
    let (first, second) = (scene.backup().await, scene.backup().await);
    // The list of one backup's objects in the place of the other's, and a catalogue that agrees.
    let contents = |id: &str| scene.place(&format!("store/backups/{id}/contents.json.zst"));
    fs::copy(contents(&first), contents(&second)).unwrap();
    let entry = |id: &str| scene.place(&format!("store/catalog/{id}.json"));
    let read = |id: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(entry(id)).unwrap()).unwrap()
    };
    let mut changed = read(&second);
    changed["contents"] = read(&first)["contents"].clone();
    fs::write(entry(&second), changed.to_string()).unwrap();
    assert_eq!(store.backups().await.unwrap().len(), 2);
    let said = scene.run(&["backup", "verify"]).await;
    let named = format!("backups/{second}/contents.json.zst in the store");
    assert!(!said.ok && said.err.contains(&named), "{}", said.err);
    assert!(said.err.contains("its data key was changed, or is that of another"), "{}", said.err);
}
