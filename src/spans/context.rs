//! Where a span belongs: W3C Trace Context.
//!
//! Source: <https://www.w3.org/TR/trace-context/>.

/// A trace, and the span in it that ours hangs under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    pub trace: [u8; 16],
    pub parent: [u8; 8],
    /// Whoever began the trace keeps it.
    pub sampled: bool,
    /// What other tracing systems say of it; handed on as it is.
    pub state: Option<Box<str>>,
}

/// Longer states are dropped, as the specification allows; in bytes.
const LONGEST_STATE: usize = 512;

impl Context {
    /// From the headers `traceparent` and `tracestate`; `None`: it is not valid.
    pub fn parse(parent: &str, state: Option<&str>) -> Option<Context> {
        let mut parts = parent.trim().split('-');
        let version = hex::<1>(parts.next()?)?[0];
        let trace = hex::<16>(parts.next()?)?;
        let parent = hex::<8>(parts.next()?)?;
        let flags = hex::<1>(parts.next()?)?[0];
        // Later versions may say more behind it, this one does not.
        let whole = version != 0 || parts.next().is_none();
        if version == 0xff || !whole || trace == [0; 16] || parent == [0; 8] {
            return None;
        }
        let state = state.filter(|state| !state.is_empty() && state.len() <= LONGEST_STATE);
        Some(Context { trace, parent, sampled: flags & 1 != 0, state: state.map(Into::into) })
    }
}

/// So many bytes in lower-case hexadecimal digits, and no more.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_parent_is_read() {
        let context = Context::parse(PARENT, Some("rojo=00f067aa0ba902b7")).expect("valid");
        assert_eq!(context.trace[..2], [0x4b, 0xf9]);
        assert_eq!(context.parent, [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        assert!(context.sampled);
        assert_eq!(context.state.as_deref(), Some("rojo=00f067aa0ba902b7"));
        let not_kept = PARENT.replace("-01", "-00");
        assert!(!Context::parse(&not_kept, None).expect("valid").sampled);
    }

    #[test]
    fn what_is_not_valid_is_nothing() {
        let wrong = [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        ];
        for parent in wrong {
            assert_eq!(Context::parse(parent, None), None, "{parent}");
        }
        let later = PARENT.replacen("00", "01", 1) + "-more";
        assert!(Context::parse(&later, None).is_some());
    }
}
