//! Keeps the layers, the sizes and the generated files honest.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules by layer; a module may use only modules of a lower layer, and itself.
const LAYERS: &[(&str, u8)] = &[
    ("net", 0),
    ("telemetry", 0),
    ("task", 0),
    ("secret", 0),
    ("proctree", 0),
    ("privilege", 0),
    ("draft", 1),
    ("userlist", 1),
    ("orders", 1),
    ("spans", 1),
    ("registry", 1),
    ("topology", 1),
    ("sql", 1),
    ("refusal", 1),
    ("view", 1),
    ("pool", 2),
    ("route", 2),
    ("monitor", 2),
    ("failover", 2),
    ("backup", 2),
    ("lab", 2),
    ("import", 2),
    ("door", 2),
    ("chronicle", 2),
    ("counters", 3),
    ("dispatch", 4),
    ("pg", 5),
    ("mysql", 5),
    ("admin", 6),
    ("http", 6),
    ("agent", 6),
    ("config", 7),
    ("app", 8),
    ("main", 9),
    ("lib", 9),
];

/// Longest file, in lines, tests included.
const MAX_LINES: usize = 500;

fn sources(under: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(under).expect("a readable folder") {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 10, "the walk over src/ found almost nothing");
    found
}

fn module_of(path: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let first = path.strip_prefix(root).expect("below src").components().next();
    let name = first.expect("a file name").as_os_str().to_string_lossy().to_string();
    name.trim_end_matches(".rs").to_string()
}

fn layer(module: &str) -> u8 {
    let found = LAYERS.iter().find(|(name, _)| *name == module);
    found.unwrap_or_else(|| panic!("module {module} has no layer in tests/tidy.rs")).1
}

#[test]
fn imports_go_downward_only() {
    let mut wrong = Vec::new();
    for path in all_sources() {
        let from = module_of(&path);
        let text = fs::read_to_string(&path).expect("a source file");
        for (number, line) in text.lines().enumerate() {
            let mut rest = line.split("//").next().unwrap_or("");
            while let Some(at) = rest.find("crate::") {
                rest = &rest[at + "crate::".len()..];
                let to: String =
                    rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if to.is_empty() || to == from {
                    continue;
                }
                if layer(&to) >= layer(&from) {
                    wrong.push(format!("{}:{}: {from} uses {to}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the layers:\n{}", wrong.join("\n"));
}

#[test]
fn every_module_says_what_it_is() {
    for path in all_sources() {
        let text = fs::read_to_string(&path).expect("a source file");
        assert!(text.starts_with("//!"), "{} does not start with //!", path.display());
    }
}

#[test]
fn no_file_is_too_long() {
    for path in all_sources() {
        let lines = fs::read_to_string(&path).expect("a source file").lines().count();
        assert!(lines <= MAX_LINES, "{}: {lines} lines, {MAX_LINES} allowed", path.display());
    }
}
