//! Reading a file against its declared options, collecting every problem on the way.

use super::problem::{Problem, Severity};
use super::schema::{Key, Section};
use super::secret::{Secret, Surroundings, why_unreadable};
use super::{Effective, schema::Field};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

/// Permission bits that let everyone read.
const WORLD_READABLE: u32 = 0o004;

/// Where a key stands, and what stands there.
struct Place {
    line: usize,
    value: Option<String>,
}

/// One pass over one file.
pub(super) struct Reading<'a> {
    text: &'a str,
    origin: &'a str,
    /// Relative paths start here: the folder of the file.
    base: PathBuf,
    around: &'a dyn Surroundings,
    places: BTreeMap<String, Place>,
    pub(super) problems: Vec<Problem>,
    pub(super) effective: BTreeMap<String, Effective>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(text: &'a str, origin: &'a str, around: &'a dyn Surroundings) -> Self {
        let base = Path::new(origin).parent().map(Path::to_path_buf).unwrap_or_default();
        let (places, effective) = (BTreeMap::new(), BTreeMap::new());
        Reading { text, origin, base, around, places, problems: Vec::new(), effective }
    }

    pub(super) fn line(&self, at: usize) -> usize {
        self.text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() + 1
    }

    /// Remembers where a key stands, for problems that are found later.
    fn saw(&mut self, path: &str, at: usize, value: &Spanned<DeValue<'_>>) {
        let place = Place { line: self.line(at), value: Some(self.shown(value)) };
        self.places.insert(path.to_string(), place);
    }

    /// A value as it stands in the file; what may hide a password in it is left out.
    fn shown(&self, value: &Spanned<DeValue<'_>>) -> String {
        let source = self.text.get(value.span()).unwrap_or_default();
        match value.get_ref() {
            DeValue::Table(_) => "{…}".into(),
            DeValue::Array(_) => "[…]".into(),
            DeValue::String(text) if text.contains('@') => "\"…\"".into(),
            _ if source.contains('\n') || source.chars().count() > 80 => {
                let start: String = source.lines().next().unwrap_or("").chars().take(40).collect();
                format!("{start}…")
            }
            _ => source.to_string(),
        }
    }

    /// The line of a key, or of the nearest table around it that stands in the file.
    fn place(&self, path: &str) -> Option<usize> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return Some(place.line);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    pub(super) fn is_given(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// True when this very key is already known to be wrong: what follows from it is noise.
    pub(super) fn is_wrong(&self, path: &str) -> bool {
        self.problems.iter().any(|p| p.key == path && p.severity == Severity::Error)
    }

    pub(super) fn syntax(&mut self, at: Option<usize>, says: &str) {
        let line = at.map(|at| self.line(at));
        self.push(Severity::Error, line, String::new(), None, format!("not TOML: {says}"), None);
    }

    fn is_wrong_above(&self, path: &str) -> bool {
        path.match_indices(['.', '[']).any(|(at, _)| self.is_wrong(&path[..at]))
    }

    /// Records an error of a key, with its value; at most one for each key, and none below a
    /// table that is wrong as a whole.
    pub(super) fn wrong(&mut self, path: &str, says: impl Into<String>, hint: Option<String>) {
        if self.is_wrong(path) || self.is_wrong_above(path) {
            return;
        }
        let value = self.places.get(path).and_then(|p| p.value.clone());
        self.push(Severity::Error, self.place(path), path.into(), value, says.into(), hint);
    }

    /// Records an error whose value is nobody's business.
    pub(super) fn wrong_unshown(&mut self, path: &str, line: usize, says: String, hint: String) {
        self.push(Severity::Error, Some(line), path.into(), None, says, Some(hint));
    }

    pub(super) fn warn(&mut self, path: &str, says: impl Into<String>, hint: Option<String>) {
        let value = self.places.get(path).and_then(|p| p.value.clone());
        self.push(Severity::Warning, self.place(path), path.into(), value, says.into(), hint);
    }

    fn push(
        &mut self,
        severity: Severity,
        line: Option<usize>,
        key: String,
        value: Option<String>,
        says: String,
        hint: Option<String>,
    ) {
        let origin = self.origin.to_string();
        self.problems.push(Problem { severity, origin, line, key, value, says, hint });
    }

    /// A path of the file system, relative to the folder of the configuration file.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    /// The text of a file that a key names; a file that cannot be read is that key's problem.
    pub(super) fn file(&mut self, path: &str, file: &Path) -> Option<String> {
        match self.around.read(file) {
            Ok(text) => Some(text),
            Err(error) => {
                let says = format!("cannot read {}: {}", file.display(), why_unreadable(&error));
                let hint = "the user that runs tidegate must be able to read it".to_string();
                self.wrong(path, says, Some(hint));
                None
            }
        }
    }

    /// As [`Reading::file`], and warns when everyone on the machine may read it.
    pub(super) fn private_file(&mut self, path: &str, file: &Path) -> Option<String> {
        let text = self.file(path, file)?;
        if self.around.mode(file).is_some_and(|mode| mode & WORLD_READABLE != 0) {
            let says = format!("everyone on this machine can read {}", file.display());
            self.warn(path, says, Some(format!("chmod o-r {}", file.display())));
        }
        Some(text)
    }

    fn secret_from_file(&mut self, path: &str, name: &str) -> Option<Secret> {
        let file = self.resolve(name);
        let text = Zeroizing::new(self.private_file(path, &file)?);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let secret = line.strip_suffix('\r').unwrap_or(line);
        if secret.is_empty() || secret.contains('\n') {
            let says = format!("{} must hold one line, the secret itself", file.display());
            let hint = "remove empty lines and everything else from it".to_string();
            self.wrong(path, says, Some(hint));
        }
        Some(Secret::new(secret))
    }

    fn secret_from_variable(&mut self, path: &str, name: &str) -> Option<Secret> {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !plain || name.is_empty() {
            let line = self.place(path).unwrap_or(1);
            let hint = "write the name of the variable here, not the secret itself";
            let says = "must be the name of an environment variable: letters, digits and _";
            self.wrong_unshown(path, line, says.into(), hint.into());
            return None;
        }
        let found = self.around.variable(name).filter(|text| !text.is_empty());
        if found.is_none() {
            let says = format!("the environment variable {name} is not set, or empty");
            let file = path.trim_end_matches("_env").rsplit('.').next().unwrap_or(path);
            let hint = format!("set it in the environment of tidegate, or use {file}_file");
            self.wrong(path, says, Some(hint));
        }
        found.map(Secret::new)
    }
}

/// One table being read.
pub(super) struct Open<'r, 'a, 't> {
    reading: &'r mut Reading<'a>,
    table: Option<&'t DeTable<'t>>,
    path: String,
}

impl<'t> Open<'_, '_, 't> {
    fn path_of(&self, name: &str) -> String {
        join(&self.path, name)
    }

    fn find(&mut self, name: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        let found = self.table?.iter().find(|(key, _)| key.get_ref() == name);
        let (key, value) = found?;
        let path = self.path_of(name);
        self.reading.saw(&path, key.span().start, value);
        Some(value)
    }

    pub(super) fn key<T: Field>(&mut self, key: &'static Key) -> T {
        let path = self.path_of(key.name);
        match self.find(key.name) {
            Some(value) => T::read(key, &path, value, self.reading),
            None => T::absent(key, &path, self.reading),
        }
    }

    /// `NAME_file` or `NAME_env`, at most one of them.
    pub(super) fn secret(&mut self, key: &'static Key) -> Option<Secret> {
        let (file, variable) = (format!("{}_file", key.name), format!("{}_env", key.name));
        let (from_file, from_env) = (self.find(&file), self.find(&variable));
        let (file, variable) = (self.path_of(&file), self.path_of(&variable));
        if from_file.is_some() && from_env.is_some() {
            let says = format!("{}_file and {}_env are both set", key.name, key.name);
            self.reading.wrong(&variable, says, Some("keep one of them".into()));
            return None;
        }
        let path = if from_file.is_some() { file } else { variable };
        let value = from_file.or(from_env)?;
        let Some(name) = value.get_ref().as_str() else {
            let (what, example) = match from_file {
                Some(_) => ("the path of a file", key.example.unwrap_or("/run/secrets/NAME")),
                None => ("the name of an environment variable", "NAME"),
            };
            let hint = format!("for example {example:?}");
            self.reading.wrong(&path, format!("must be {what}, in quotes"), Some(hint));
            return None;
        };
        let secret = match from_file {
            Some(_) => self.reading.secret_from_file(&path, name),
            None => self.reading.secret_from_variable(&path, name),
        };
        let effective = Effective {
            value: format!("\"{name}\""),
            default: None,
            restart: key.restart,
            secret: secret.clone(),
        };
        self.reading.effective.insert(path, effective);
        secret
    }

    /// Reports every key that the section does not declare.
    fn refuse_unknown<S: Section>(&mut self) {
        let known: Vec<String> = S::KEYS.iter().flat_map(Key::names).collect();
        for (key, _) in self.table.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if known.iter().any(|k| k == name) {
                continue;
            }
            let (path, line) = (self.path_of(name), self.reading.line(key.span().start));
            let (says, hint) = match S::REFUSED.iter().find(|r| r.name == name) {
                Some(refused) => (refused.says.to_string(), refused.hint.to_string()),
                None => ("there is no such key".to_string(), nearest(name, &known)),
            };
            self.reading.wrong_unshown(&path, line, says, hint);
        }
    }
}

pub(super) fn join(path: &str, name: &str) -> String {
    let plain =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let name = if plain { name.to_string() } else { format!("{name:?}") };
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// Names the known key that looks most like `name`, or all of them.
pub(super) fn nearest(name: &str, known: &[String]) -> String {
    let lower = name.to_lowercase();
    let likeness = |k: &String| strsim::jaro_winkler(&lower, k);
    let best = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match best {
        Some(best) if likeness(best) >= 0.75 => format!("did you mean {best}?"),
        _ => format!("known here: {}", known.join(", ")),
    }
}

/// Reads a table, or what it is when nothing of it is given.
pub(super) fn section<S: Section>(
    path: &str,
    value: Option<&Spanned<DeValue<'_>>>,
    reading: &mut Reading<'_>,
) -> S {
    let table = value.and_then(|v| v.get_ref().as_table());
    if value.is_some() && table.is_none() {
        let names: Vec<String> = S::KEYS.iter().flat_map(Key::names).collect();
        let says = format!("must be a table with the keys {}", names.join(", "));
        let first = names.first().map_or("", String::as_str);
        let hint = format!("write {path}.{first} = …, or a section [{path}]");
        reading.wrong(path, says, Some(hint));
    }
    root(path, table, reading)
}

/// Reads a table whose kind is already known.
pub(super) fn root<'t, S: Section>(
    path: &str,
    table: Option<&'t DeTable<'t>>,
    reading: &mut Reading<'_>,
) -> S {
    let mut open = Open { reading, table, path: path.to_string() };
    open.refuse_unknown::<S>();
    S::open(&mut open)
}

/// Remembers where an element of a list stands.
pub(super) fn saw_element(path: &str, value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) {
    reading.saw(path, value.span().start, value);
}
