#!/bin/sh
# Every statement of PostgreSQL's regression suite through the classifier, judged by pg_query.
# Run by hand: it downloads PostgreSQL's source from Debian. Any further arguments go to the oracle.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main" > "$work/src.list"
apt_private() {
    "$@" -o Dir::Etc::SourceList="$work/src.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root
}
echo "fetching PostgreSQL's source ..."
apt_private apt-get -qq update
(cd "$work" && apt_private apt-get -qq source --download-only --tar-only postgresql-15)
tar -xjf "$work"/postgresql-15_*.orig.tar.bz2 -C "$work" --wildcards '*/src/test/*/sql/*.sql' '*/contrib/*/sql/*.sql'

# A statement ends with a line that ends with a semicolon; what that tears apart is a text, too.
echo "splitting ..."
find "$work" -name '*.sql' -print0 | sort -z | xargs -0 cat | awk '
    /^\\/ { next }
    { line = $0; gsub(/\\/, "&&", line); gsub(/\t/, "\\t", line) }
    { text = text == "" ? line : text "\\n" line }
    /;[ \t]*$/ { print text; text = "" }
' > "$work/texts"
cargo build -q --example classify
cargo build -q -p oracle
target/debug/examples/classify < "$work/texts" > "$work/verdicts"
cut -f1 "$work/verdicts" | sort | uniq -c | sort -rn
target/debug/oracle "$@" < "$work/verdicts"
