//! The ways in which tables nest: optional, as a list, by name.

use super::reading::{Reading, join, root, saw_element, section};
use super::schema::{Field, Key, Section, Shape};
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::DeValue;

impl<T: Field> Field for Option<T> {
    fn shape() -> Shape {
        Shape::Optional(Box::new(T::shape()))
    }
    fn read(
        key: &Key,
        path: &str,
        value: &Spanned<DeValue<'_>>,
        reading: &mut Reading<'_>,
    ) -> Self {
        Some(T::read(key, path, value, reading))
    }
    fn absent(_: &Key, _: &str, _: &mut Reading<'_>) -> Self {
        None
    }
}

impl<T: Section> Field for Vec<T> {
    fn shape() -> Shape {
        Shape::List(T::ABOUT, T::KEYS)
    }
    fn read(_: &Key, path: &str, value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Self {
        let Some(elements) = value.get_ref().as_array() else {
            let hint = format!("write a section [[{path}]] for each");
            reading.wrong(path, "must be a list of tables: [ { … }, { … } ]", Some(hint));
            return Vec::new();
        };
        let numbered = elements.iter().enumerate();
        let one = |(number, element): (usize, &Spanned<DeValue<'_>>)| {
            let path = format!("{path}[{number}]");
            saw_element(&path, element, reading);
            section(&path, Some(element), reading)
        };
        numbered.map(one).collect()
    }
    fn absent(_: &Key, _: &str, _: &mut Reading<'_>) -> Self {
        Vec::new()
    }
}

impl<T: Section> Field for BTreeMap<String, T> {
    fn shape() -> Shape {
        Shape::Map(T::ABOUT, T::KEYS)
    }
    fn read(_: &Key, path: &str, value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>) -> Self {
        let mut found = BTreeMap::new();
        let Some(table) = value.get_ref().as_table() else {
            let hint = format!("write a section [{path}.NAME] for each");
            reading.wrong(path, "must be a table of tables: { NAME = { … } }", Some(hint));
            return found;
        };
        for (name, value) in table {
            let name = name.get_ref().to_string();
            let path = join(path, &name);
            saw_element(&path, value, reading);
            let one = match value.get_ref().as_table() {
                Some(table) => root(&path, Some(table), reading),
                None => section(&path, Some(value), reading),
            };
            found.insert(name, one);
        }
        found
    }
    fn absent(_: &Key, _: &str, _: &mut Reading<'_>) -> Self {
        BTreeMap::new()
    }
}
