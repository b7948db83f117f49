//! The trace context in a statement's comment, as sqlcommenter and OpenTelemetry's libraries write it:
//! `SELECT 1 /*action='list',traceparent='00-…-…-01'*/`, at the end or at the beginning.
//!
//! Source: <https://google.github.io/sqlcommenter/spec/>.

use super::Context;
use percent_encoding::percent_decode_str;

/// What the comment around a statement says of its trace; usually there is none, and finding that
/// out is a look at both ends.
pub fn context_of(sql: &[u8]) -> Option<Context> {
    let mut end = sql.trim_ascii();
    while let Some(before) = end.strip_suffix(b";") {
        end = before.trim_ascii_end();
    }
    if let Some(before) = end.strip_suffix(b"*/")
        && let Some(start) = rfind(before, b"/*")
        && let Some(context) = read(&before[start + 2..])
    {
        return Some(context);
    }
    let mut rest = end;
    while let Some(inside) = rest.strip_prefix(b"/*") {
        let close = find(inside, b"*/")?;
        if let Some(context) = read(&inside[..close]) {
            return Some(context);
        }
        rest = inside[close + 2..].trim_ascii_start();
    }
    None
}

fn find(text: &[u8], what: &[u8; 2]) -> Option<usize> {
    text.windows(2).position(|at| at == what)
}

fn rfind(text: &[u8], what: &[u8; 2]) -> Option<usize> {
    text.windows(2).rposition(|at| at == what)
}

/// `key='value',…`, both percent-encoded.
fn read(comment: &[u8]) -> Option<Context> {
    let comment = std::str::from_utf8(comment).ok()?;
    let value = |wanted: &str| {
        let pairs = comment.split(',').filter_map(|pair| pair.split_once('='));
        let mut named = pairs.filter(|(key, _)| key.trim() == wanted);
        let quoted = named.next()?.1.trim();
        percent_decode_str(quoted.trim_matches('\'')).decode_utf8().ok()
    };
    Context::parse(&value("traceparent")?, value("tracestate").as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn state(sql: &str) -> Option<Option<String>> {
        context_of(sql.as_bytes()).map(|context| context.state.map(Into::into))
    }

    #[test]
    fn a_comment_at_either_end_is_found() {
        let found = [
            format!("SELECT 1 /*traceparent='{PARENT}'*/"),
            format!("SELECT 1 /* traceparent='{PARENT}' */ ; \n"),
            format!("SELECT 1 /*action='%2Fusers',controller='u',traceparent='{PARENT}'*/;"),
            format!("/*traceparent='{PARENT}'*/ SELECT 1"),
            format!("/* tidegate: route=primary */ /*traceparent='{PARENT}'*/ SELECT '*/'"),
            format!("SELECT '/*' /*traceparent='{PARENT}'*/"),
            format!("SELECT 1 /*traceparent='{}'*/", PARENT.replace('-', "%2D")),
        ];
        for sql in found {
            assert_eq!(state(&sql), Some(None), "{sql}");
        }
    }

    #[test]
    fn the_state_is_decoded() {
        let sql = format!("SELECT 1 /*traceparent='{PARENT}',tracestate='congo%3Dt61,rojo%3D00'*/");
        // A comma is encoded, too, where the specification is followed; else the rest is lost.
        assert_eq!(state(&sql), Some(Some("congo=t61".into())));
        let sql = sql.replace("t61,", "t61%2C");
        assert_eq!(state(&sql), Some(Some("congo=t61,rojo=00".into())));
    }

    #[test]
    fn what_is_no_such_comment_says_nothing() {
        let nothing = [
            "SELECT 1".to_owned(),
            "SELECT 1 /* traceparent */".into(),
            format!("SELECT '/*traceparent=''{PARENT}''*/'"),
            format!("SELECT /*traceparent='{PARENT}'*/ 1"),
            "SELECT 1 /*traceparent='00-zz'*/".into(),
            "/* never closed".into(),
            "*/".into(),
            "/*/".into(),
            String::new(),
        ];
        for sql in nothing {
            assert_eq!(state(&sql), None, "{sql}");
        }
    }
}
