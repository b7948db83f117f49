//! The types of single values: how each is read, checked against its limits and written back.

use super::Effective;
use super::reading::Reading;
use super::schema::{Field, Key, Shape};
use super::units;
use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// What is wrong with a value, and what to write instead if that is clear.
pub(super) struct Complaint {
    pub(super) says: String,
    pub(super) hint: Option<String>,
}

impl Complaint {
    pub(super) fn new(says: impl Into<String>) -> Complaint {
        Complaint { says: says.into(), hint: None }
    }
    pub(super) fn hint(self, hint: impl Into<String>) -> Complaint {
        Complaint { hint: Some(hint.into()), ..self }
    }
}

/// A value that needs nothing but itself to be understood.
pub(super) trait Value: Sized {
    /// Whether its declared default stands in quotes in the file.
    const QUOTED: bool;
    /// What may stand there, in words.
    fn allowed() -> String;
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint>;
    /// As it would stand in the file.
    fn show(&self) -> String;
    /// Stands in for a value that is missing or wrong until all problems are found.
    fn unset() -> Self;
    /// Its size in the unit of `Key::limits`.
    fn magnitude(&self) -> Option<u64> {
        None
    }
    fn show_magnitude(magnitude: u64) -> String {
        magnitude.to_string()
    }
}

fn default_of<T: Value>(key: &Key) -> Option<T> {
    let text = key.default?;
    let read = match T::QUOTED {
        true => T::from_toml(&DeValue::String(Cow::Borrowed(text))),
        false => match DeValue::parse(text) {
            Ok(value) => T::from_toml(value.get_ref()),
            Err(error) => Err(Complaint::new(error.message())),
        },
    };
    Some(read.unwrap_or_else(|c| panic!("declared default of {}: {}", key.name, c.says)))
}

/// "leave it out for the default, 20"
fn default_hint<T: Value>(key: &Key) -> Option<String> {
    default_of::<T>(key).map(|d| format!("leave it out for the default, {}", d.show()))
}

fn example_hint(key: &Key, quoted: bool) -> Option<String> {
    key.example.map(|text| match quoted {
        true => format!("for example {} = {text:?}", key.name),
        false => format!("for example {} = {text}", key.name),
    })
}

fn check_limits<T: Value>(value: &T, key: &Key) -> Result<(), Complaint> {
    let (Some((low, high)), Some(size)) = (key.limits, value.magnitude()) else { return Ok(()) };
    if size < low {
        return Err(Complaint::new(format!("must be at least {}", T::show_magnitude(low))));
    }
    if size > high {
        return Err(Complaint::new(format!("must be at most {}", T::show_magnitude(high))));
    }
    Ok(())
}

/// What may stand there, limits included: `a duration such as "50ms", from 1s to 1h`.
pub(super) fn allowed_within<T: Value>(key: &Key) -> String {
    match key.limits {
        Some((low, high)) => {
            let (low, high) = (T::show_magnitude(low), T::show_magnitude(high));
            format!("{}, from {low} to {high}", T::allowed())
        }
        None => T::allowed(),
    }
}

fn remember<T: Value>(value: &T, key: &Key, path: &str, reading: &mut Reading<'_>) {
    let default = default_of::<T>(key).map(|d| d.show());
    let effective = Effective { value: value.show(), default, restart: key.restart, secret: None };
    reading.effective.insert(path.to_string(), effective);
}

impl<T: Value> Field for T {
    fn shape() -> Shape {
        Shape::Value { allowed: allowed_within::<T>, quoted: T::QUOTED }
    }

    fn read(
        key: &Key,
        path: &str,
        value: &Spanned<DeValue<'_>>,
        reading: &mut Reading<'_>,
    ) -> Self {
        let read = T::from_toml(value.get_ref())
            .and_then(|found| check_limits(&found, key).map(|()| found));
        match read {
            Ok(found) => {
                remember(&found, key, path, reading);
                found
            }
            Err(complaint) => {
                let hint = complaint.hint.or_else(|| default_hint::<T>(key));
                let hint = hint.or_else(|| example_hint(key, T::QUOTED));
                reading.wrong(path, complaint.says, hint);
                default_of(key).unwrap_or_else(T::unset)
            }
        }
    }

    fn absent(key: &Key, path: &str, reading: &mut Reading<'_>) -> Self {
        if let Some(default) = default_of::<T>(key) {
            remember(&default, key, path, reading);
            return default;
        }
        let hint = example_hint(key, T::QUOTED);
        reading.wrong(path, format!("is missing: {}", allowed_within::<T>(key)), hint);
        T::unset()
    }
}

/// `write it without quotes: size = 20` when that would do.
fn unquoted(value: &DeValue<'_>) -> Option<String> {
    let text = value.as_str()?;
    let plain = DeValue::parse(text).ok()?;
    let fits = plain.get_ref().is_integer() || plain.get_ref().is_bool();
    fits.then(|| format!("write it without quotes: {text}"))
}

macro_rules! whole_number {
    ($($ty:ty),+) => {$(
        impl Value for $ty {
            const QUOTED: bool = false;
            fn allowed() -> String {
                "a whole number".into()
            }
            fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
                let Some(number) = value.as_integer() else {
                    let hint = unquoted(value);
                    return Err(Complaint { says: "must be a whole number".into(), hint });
                };
                let read = <$ty>::from_str_radix(number.as_str(), number.radix());
                read.map_err(|_| match number.as_str().starts_with('-') {
                    true => Complaint::new("must not be negative"),
                    false => Complaint::new("is too large"),
                })
            }
            fn show(&self) -> String {
                self.to_string()
            }
            fn unset() -> Self {
                1
            }
            fn magnitude(&self) -> Option<u64> {
                u64::try_from(*self).ok()
            }
        }
    )+};
}
whole_number!(u16, u32, usize);

impl Value for bool {
    const QUOTED: bool = false;
    fn allowed() -> String {
        "true or false".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let hint = unquoted(value);
        value.as_bool().ok_or(Complaint { says: "must be true or false".into(), hint })
    }
    fn show(&self) -> String {
        self.to_string()
    }
    fn unset() -> Self {
        false
    }
}

impl Value for String {
    const QUOTED: bool = true;
    fn allowed() -> String {
        "a text in quotes".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        match value.as_str() {
            None => Err(Complaint::new("must be a text in quotes")),
            Some("") => Err(Complaint::new("must not be empty")),
            Some(text) => Ok(text.to_string()),
        }
    }
    fn show(&self) -> String {
        format!("{self:?}")
    }
    fn unset() -> Self {
        String::new()
    }
}

impl Value for Duration {
    const QUOTED: bool = true;
    fn allowed() -> String {
        "a duration".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let says = "must be a duration such as \"50ms\", \"1s\", \"10m\", \"1h\" or \"1d\"";
        match value {
            DeValue::String(text) => units::duration(text).ok_or(Complaint::new(says)),
            DeValue::Integer(n) => {
                Err(Complaint::new(says).hint(format!("name the unit: \"{n}s\" or \"{n}ms\"")))
            }
            _ => Err(Complaint::new(says)),
        }
    }
    fn show(&self) -> String {
        format!("{:?}", units::show_millis(self.magnitude().unwrap_or(0)))
    }
    fn unset() -> Self {
        Duration::from_secs(1)
    }
    fn magnitude(&self) -> Option<u64> {
        u64::try_from(self.as_millis()).ok()
    }
    fn show_magnitude(millis: u64) -> String {
        units::show_millis(millis)
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl Value for Size {
    const QUOTED: bool = true;
    fn allowed() -> String {
        "a size such as \"512B\", \"64KiB\" or \"1MiB\"".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let says = format!("must be {}", Self::allowed());
        match value {
            DeValue::String(text) => units::size(text).map(Size).ok_or(Complaint::new(says)),
            DeValue::Integer(n) => {
                Err(Complaint::new(says).hint(format!("name the unit: \"{n}B\" or \"{n}KiB\"")))
            }
            _ => Err(Complaint::new(says)),
        }
    }
    fn show(&self) -> String {
        format!("{:?}", units::show_bytes(self.0))
    }
    fn unset() -> Self {
        Size(1)
    }
    fn magnitude(&self) -> Option<u64> {
        Some(self.0)
    }
    fn show_magnitude(bytes: u64) -> String {
        units::show_bytes(bytes)
    }
}

impl Field for PathBuf {
    fn shape() -> Shape {
        Shape::Value { allowed: |_| PATH.into(), quoted: true }
    }
    fn read(
        key: &Key,
        path: &str,
        value: &Spanned<DeValue<'_>>,
        reading: &mut Reading<'_>,
    ) -> Self {
        match value.get_ref().as_str() {
            Some(text) if !text.is_empty() => resolved(text, key, path, reading),
            _ => {
                let hint = example_hint(key, true);
                reading.wrong(path, format!("must be {PATH}"), hint);
                PathBuf::new()
            }
        }
    }
    fn absent(key: &Key, path: &str, reading: &mut Reading<'_>) -> Self {
        match key.default {
            Some(text) => resolved(text, key, path, reading),
            None => {
                let hint = example_hint(key, true);
                reading.wrong(path, format!("is missing: {PATH}"), hint);
                PathBuf::new()
            }
        }
    }
}

const PATH: &str = "a path in quotes";

fn resolved(text: &str, key: &Key, path: &str, reading: &mut Reading<'_>) -> PathBuf {
    let full = reading.resolve(text);
    let effective = Effective {
        value: format!("\"{}\"", full.display()),
        default: key.default.map(|d| format!("{d:?}")),
        restart: key.restart,
        secret: None,
    };
    reading.effective.insert(path.to_string(), effective);
    full
}
