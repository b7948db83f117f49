//! Token by token, the rules by which the engines differ from other SQL.

use super::*;
use proptest::prelude::*;

fn kinds(text: &str) -> Vec<(Kind, &str)> {
    with(text, Modes::default()).unwrap()
}

fn with(text: &str, modes: Modes) -> Option<Vec<(Kind, &str)>> {
    let tokens = tokens(text.as_bytes(), modes).ok()?;
    Some(tokens.iter().map(|token| (token.kind, &text[token.start..token.end])).collect())
}

fn texts(text: &str) -> Vec<&str> {
    kinds(text).into_iter().map(|(_, text)| text).collect()
}

fn doubtful(text: &str) -> bool {
    with(text, Modes::default()).is_none()
}

#[test]
fn a_comment_of_two_dashes_needs_a_space_behind_it() {
    assert_eq!(texts("a -- b\nc"), ["a", "c"]);
    assert_eq!(texts("a --\tb\nc"), ["a", "c"]);
    assert_eq!(texts("a --"), ["a"]);
    assert_eq!(texts("a--b"), ["a", "-", "-", "b"]);
    assert_eq!(texts("a # b ' \" `\nc /* ' */ d"), ["a", "c", "d"]);
}

#[test]
fn what_every_server_executes_is_no_comment() {
    assert_eq!(texts("a /*! b */ c"), ["a", "b", "c"]);
    assert_eq!(texts("a /*!40101 b /* x */ */ c"), ["a", "b", "c"]);
    assert_eq!(texts("/*!50003 FOR UPDATE*/"), ["FOR", "UPDATE"]);
    for text in [
        "/*!50701 a */",
        "/*!80000 a */",
        "/*!100100 a */",
        "/*M! a */",
        "/*M!100100 a */",
        "/*!401 a */",
        "/*! a",
        "/* a",
        "/*! a /*! b */ */",
    ] {
        assert!(doubtful(text), "{text}");
    }
}

#[test]
fn quotes_follow_the_modes() {
    assert_eq!(kinds("\"a\""), [(Kind::String, "\"a\"")]);
    let ansi = Modes { ansi_quotes: true, ..Modes::default() };
    assert_eq!(with("\"a\\\" b", ansi).unwrap()[0], (Kind::Name, "\"a\\\""));
    assert_eq!(kinds(r"'a\'b' c").len(), 2);
    let plain = Modes { no_backslash_escapes: true, ..Modes::default() };
    assert_eq!(with(r"'a\' c", plain).unwrap().len(), 2);
    assert_eq!(kinds("'it''s' `a``b`").len(), 2);
    assert!(doubtful("'a") && doubtful(r"'a\'") && doubtful("`a"));
}

#[test]
fn numbers_and_names_that_start_with_digits() {
    use Kind::{Coded, Number, Word};
    let kinds = |text| kinds(text).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    for number in ["1", "1.5", ".5", "1.", "1e5", "1e+5", "1.5E-7", "0"] {
        assert_eq!(kinds(number), [Number], "{number}");
    }
    for coded in ["0x1F", "x'1F'", "b'01'", "0b01", "N'a'"] {
        assert_eq!(kinds(coded), [Coded], "{coded}");
    }
    assert_eq!(kinds("1a"), [Word]);
    assert_eq!(kinds("0xZ"), [Word]);
    assert_eq!(kinds("t.1"), [Word, Kind::Mark(b'.'), Word]);
    assert_eq!(kinds("t.1e5"), [Word, Kind::Mark(b'.'), Word]);
    assert_eq!(kinds("1e"), [Word]);
}

#[test]
fn variables_have_names_with_and_without_quotes() {
    use Kind::{Assign, Mark, Number, System, User, Word};
    let kinds = |text| kinds(text).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    assert_eq!(kinds("@a:=1"), [User, Assign, Number]);
    assert_eq!(kinds("@a.b$1 @'x y' @`z`"), [User, User, User]);
    assert_eq!(kinds("@@global.sql_mode"), [System, Mark(b'.'), Word]);
    assert_eq!(kinds("@@`sql_mode`"), [System]);
    assert!(doubtful("@@ sql_mode"));
}

#[test]
fn bytes_that_might_be_something_else_are_doubtful() {
    assert!(tokens(b"SELECT 1 FOR\xA0UPDATE", Modes::default()).is_err(), "a space in latin1");
    assert!(tokens("SELECT größe FROM t".as_bytes(), Modes::default()).is_ok());
    assert!(tokens(b"SELECT '\xA0'", Modes::default()).is_ok(), "any byte may be in a string");
    let modes = Modes { ascii_in_letters: true, ..Modes::default() };
    assert!(tokens("SELECT 'ö'".as_bytes(), modes).is_err());
    assert!(tokens(b"SELECT 'o'", modes).is_ok());
    for text in ["SELECT \u{1}", "SELECT \u{0} 1", "SELECT $$a$$", r"SELECT \N"] {
        assert!(doubtful(text), "{text:?}");
    }
    assert!(with("SELECT 1", Modes { oracle: true, ..Modes::default() }).is_none());
}

fn shape_of(text: &str) -> String {
    let mut out = Vec::new();
    shape(text.as_bytes(), Modes::default(), &mut out).unwrap();
    String::from_utf8(out[1..].to_vec()).unwrap()
}

#[test]
fn texts_that_differ_in_literals_and_comments_alone_have_one_shape() {
    let one = shape_of("SELECT * FROM t WHERE a = 'x' AND b IN (1, 2.5) -- c");
    assert_eq!(one, shape_of("SELECT  * FROM t /* c */ WHERE a = \"y\" AND b IN (3, 0x4)"));
    assert_ne!(shape_of("SELECT count (1)"), shape_of("SELECT count(1)"));
    assert_ne!(shape_of("SELECT `a`"), shape_of("SELECT a"));
}

proptest! {
    #[test]
    fn any_bytes_are_cut_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        ansi_quotes in any::<bool>(),
        no_backslash_escapes in any::<bool>(),
    ) {
        let modes = Modes { ansi_quotes, no_backslash_escapes, ..Modes::default() };
        if let Ok(tokens) = tokens(&bytes, modes) {
            for token in tokens {
                prop_assert!(token.start < token.end && token.end <= bytes.len());
            }
        }
    }

    #[test]
    fn other_literals_make_no_other_shape(
        words in proptest::collection::vec("[a-c]{1,3}|[(),.;]|@[a-c]|`[a-c ]`", 1..8),
        literals in proptest::collection::vec(("'[a-c\"]{0,3}'", "[1-9]{1,4}"), 8),
    ) {
        let text = |plain: bool| -> String {
            let pair = |(word, (string, number)): (&String, &(String, String))| match plain {
                true => format!("{word} {string} {number} "),
                false => format!("{word} '' 0 "),
            };
            words.iter().zip(&literals).map(pair).collect()
        };
        prop_assert_eq!(shape_of(&text(true)), shape_of(&text(false)));
    }
}
