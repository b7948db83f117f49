//! How an option is declared, once: its key, type, default, limits and documentation.
//!
//! From `options!` come the typed struct, its reading with checks, the hints for misspelt keys
//! and the reference.

use super::reading::{Open, Reading};
use toml::Spanned;
use toml::de::DeValue;

/// One declared option.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Documentation, line by line.
    pub(super) doc: &'static [&'static str],
    /// As it would stand in the file, without quotes.
    pub(super) default: Option<&'static str>,
    /// An example for a key that has no default, or of a name in `[key.NAME]`.
    pub(super) example: Option<&'static str>,
    /// Lowest and highest value, in the type's own unit: 1, a millisecond, a byte.
    pub(super) limits: Option<(u64, u64)>,
    /// True when a reload cannot change it.
    pub(super) restart: bool,
    /// Stands in the reference as more than a comment although it has no default.
    pub(super) shown: bool,
    /// Given as `NAME_file` or `NAME_env`, never in the file itself.
    pub(super) secret: bool,
    pub(super) shape: fn() -> Shape,
}

/// What stands behind a key, for the reference.
pub(super) enum Shape {
    /// `allowed` says in words what may stand there.
    Value { allowed: fn(&Key) -> String, quoted: bool },
    /// `[key]`, its own documentation and keys.
    Table(&'static [&'static str], &'static [Key]),
    /// `[[key]]`
    List(&'static [&'static str], &'static [Key]),
    /// `[key.NAME]`
    Map(&'static [&'static str], &'static [Key]),
    /// Any of these, but nothing stands there by default.
    Optional(Box<Shape>),
}

impl Key {
    const fn new(name: &'static str, doc: &'static [&'static str], shape: fn() -> Shape) -> Key {
        Key {
            name,
            doc,
            default: None,
            example: None,
            limits: None,
            restart: false,
            shown: false,
            secret: false,
            shape,
        }
    }
    pub(super) const fn default(mut self, text: &'static str) -> Key {
        self.default = Some(text);
        self
    }
    pub(super) const fn example(mut self, text: &'static str) -> Key {
        self.example = Some(text);
        self
    }
    /// Lowest and highest value, in the type's own unit.
    pub(super) const fn limits(mut self, low: u64, high: u64) -> Key {
        self.limits = Some((low, high));
        self
    }
    pub(super) const fn restart(mut self) -> Key {
        self.restart = true;
        self
    }
    pub(super) const fn shown(mut self) -> Key {
        self.shown = true;
        self
    }
    /// The names it has in a file.
    pub(super) fn names(&self) -> Vec<String> {
        match self.secret {
            true => vec![format!("{}_file", self.name), format!("{}_env", self.name)],
            false => vec![self.name.to_string()],
        }
    }
}

/// The kinds of option that `options!` knows; `Open` has a method of the same name for each.
pub(super) mod declare {
    use super::super::secret::Secret;
    use super::{Field, Key, Shape};

    pub(in crate::config) const fn key<T: Field>(
        name: &'static str,
        doc: &'static [&'static str],
    ) -> Key {
        Key::new(name, doc, T::shape)
    }

    #[expect(clippy::extra_unused_type_parameters, reason = "the bound checks the field's type")]
    pub(in crate::config) const fn secret<T: From<Secret>>(
        name: &'static str,
        doc: &'static [&'static str],
    ) -> Key {
        let mut key =
            Key::new(name, doc, || Shape::Value { allowed: |_| String::new(), quoted: true });
        key.secret = true;
        key
    }
}

/// A key that people may expect and that is refused with a reason.
pub(super) struct Refused {
    pub(super) name: &'static str,
    pub(super) says: &'static str,
    pub(super) hint: &'static str,
}

/// Whatever can stand behind a key. Reading always yields something, so that one mistake does
/// not hide the next; when it is wrong, the problem is recorded and nothing is ever built of it.
pub(super) trait Field: Sized {
    fn shape() -> Shape;
    fn read(key: &Key, path: &str, value: &Spanned<DeValue<'_>>, reading: &mut Reading<'_>)
    -> Self;
    fn absent(key: &Key, path: &str, reading: &mut Reading<'_>) -> Self;
}

/// A table with declared keys.
pub(super) trait Section: Sized {
    const ABOUT: &'static [&'static str];
    const KEYS: &'static [Key];
    const REFUSED: &'static [Refused];
    fn open(open: &mut Open<'_, '_, '_>) -> Self;
}

/// Declares a table: a struct of our own (`pub struct Name {…}`) or one that another module
/// defined (`for path::Settings {…}`).
///
/// `key name: Type = "default" => .limits(1, 9).restart();` is a value or a nested table;
/// `secret name: Option<Secret>;` is `name_file` and `name_env`.
macro_rules! options {
    ($(#[doc = $about:literal])+ pub struct $name:ident {
        $($(#[doc = $doc:literal])+ $kind:ident $field:ident : $ty:ty $(= $default:literal)?
          $(=> $(.$how:ident($($arg:expr),*))+)?;)+
    } $($rest:tt)*) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub struct $name { $($(#[doc = $doc])+ pub $field: $ty,)+ }
        $crate::config::schema::options! {
            $(#[doc = $about])+ for $name {
                $($(#[doc = $doc])+ $kind $field: $ty $(= $default)?
                  $(=> $(.$how($($arg),*))+)?;)+
            } $($rest)*
        }
    };
    ($(#[doc = $about:literal])+ for $name:ty {
        $($(#[doc = $doc:literal])+ $kind:ident $field:ident : $ty:ty $(= $default:literal)?
          $(=> $(.$how:ident($($arg:expr),*))+)?;)+
    } $(refused { $($bad:literal => $says:expr, $hint:expr;)+ })?) => {
        impl $crate::config::schema::Section for $name {
            const ABOUT: &'static [&'static str] = &[$($about),+];
            const KEYS: &'static [$crate::config::schema::Key] = &[$(
                $crate::config::schema::declare::$kind::<$ty>(stringify!($field), &[$($doc),+])
                    $(.default($default))? $($(.$how($($arg),*))+)?,
            )+];
            const REFUSED: &'static [$crate::config::schema::Refused] = &[$($(
                $crate::config::schema::Refused { name: $bad, says: $says, hint: $hint },
            )+)?];
            fn open(open: &mut $crate::config::reading::Open<'_, '_, '_>) -> Self {
                let mut keys = Self::KEYS.iter();
                Self { $($field: open.$kind(keys.next().expect("a key for each field")),)+ }
            }
        }
        impl $crate::config::schema::Field for $name {
            fn shape() -> $crate::config::schema::Shape {
                use $crate::config::schema::{Section, Shape};
                Shape::Table(Self::ABOUT, Self::KEYS)
            }
            fn read(
                _: &$crate::config::schema::Key,
                path: &str,
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                reading: &mut $crate::config::reading::Reading<'_>,
            ) -> Self {
                $crate::config::reading::section(path, Some(value), reading)
            }
            fn absent(
                _: &$crate::config::schema::Key,
                path: &str,
                reading: &mut $crate::config::reading::Reading<'_>,
            ) -> Self {
                $crate::config::reading::section(path, None, reading)
            }
        }
    };
}
pub(super) use options;
