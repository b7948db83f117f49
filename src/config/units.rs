//! Durations and sizes as people write them: `50ms`, `1s`, `10m`, `1h`, `1d`, `64KiB`.

use std::time::Duration;

/// Milliseconds of each unit, largest first.
const TIME: &[(&str, u64)] =
    &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Splits `50ms` into 50 and `ms`; spaces between them are fine.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim()))
}

/// Reads a duration; `None` if it is not a whole number with a unit of `ms s m h d`.
/// Zero needs no unit.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text.trim())?;
    if number == 0 && unit.is_empty() {
        return Some(Duration::ZERO);
    }
    let (_, scale) = TIME.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*scale).map(Duration::from_millis)
}

/// Writes milliseconds with the largest unit that needs no fraction.
pub(super) fn show_millis(millis: u64) -> String {
    let exact = TIME.iter().find(|(_, scale)| millis != 0 && millis.is_multiple_of(*scale));
    let (unit, scale) = exact.unwrap_or(&("s", 1_000));
    format!("{}{unit}", millis / scale)
}

/// Bytes of each unit, largest first. Decimal units are left out: they read like binary ones.
const SPACE: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads a size in bytes; `None` if it is not a whole number with a unit of `B KiB MiB GiB`.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text.trim())?;
    let (_, scale) = SPACE.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*scale)
}

/// Writes bytes with the largest unit that needs no fraction.
pub(super) fn show_bytes(bytes: u64) -> String {
    let exact = SPACE.iter().find(|(_, scale)| bytes != 0 && bytes.is_multiple_of(*scale));
    let (unit, scale) = exact.unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_as_they_are_written() {
        for text in ["50ms", "1s", "90s", "10m", "1h", "1d", "1500ms"] {
            let millis = duration(text).unwrap().as_millis() as u64;
            assert_eq!(duration(&show_millis(millis)), duration(text), "{text}");
        }
        assert_eq!(show_millis(3_600_000), "1h");
        assert_eq!(show_millis(0), "0s");
    }

    #[test]
    fn a_duration_without_its_unit_is_none() {
        for text in ["30", "1.5s", "-1s", "s", "", "1 week", "99999999999999999999s"] {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(duration("0"), Some(Duration::ZERO));
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(size("64KiB"), Some(65_536));
        assert_eq!(size("1 MiB"), Some(1_048_576));
        assert_eq!(size("64KB"), None);
        assert_eq!(show_bytes(65_536), "64KiB");
    }
}
