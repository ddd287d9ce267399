#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# eddy cache: what one gateway has inferred can be taken to another; damaged or foreign lines change nothing.
# usage: cache_cli.sh EDDY CACHE_FILLER
set -eu
eddy=$1 filler=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $1" >&2; exit 1; }
expect() { grep -qF -- "$2" "$1" || { cat "$1" >&2; fail "expected in $1: $2"; }; }

"$filler" "$work/a.db" "model 1" 50
"$eddy" cache stats --file "$work/a.db" >"$work/stats"
expect "$work/stats" "line "
expect "$work/stats" " 50 results"
"$eddy" cache stats --file "$work/a.db" --json >"$work/stats"
expect "$work/stats" '{"name":"line","entries":50,'
[ "$("$eddy" cache list --file "$work/a.db" --limit 7 | wc -l)" = 7 ] || fail "list --limit 7"

"$eddy" cache export --file "$work/a.db" >"$work/lines"
[ "$(wc -l <"$work/lines")" = 51 ] || fail "51 lines exported"
"$filler" "$work/b.db" "model 1" 0
"$eddy" cache import --file "$work/b.db" <"$work/lines" >"$work/said"
expect "$work/said" "50 results imported"
"$filler" "$work/b.db" "model 1" find 50 || fail "an imported result is not found"
"$eddy" cache export --file "$work/b.db" | sort >"$work/again"
sort "$work/lines" | cmp - "$work/again" || fail "an export of what was imported is another"

"$filler" "$work/c.db" "model 2" 3
if "$eddy" cache import --file "$work/c.db" <"$work/lines" 2>"$work/said"; then fail "results of another model were taken"; fi
expect "$work/said" 'line 1: pipeline "line" has another model or other settings here'

for line in '{"key":"00","created_us":1,"saving_us":1,"result":{}}' 'x' '{"key":"0123456789abcdef0123456789abcdef","created_us":1,"saving_us":1,"result":[1]}' \
    '{"key":"0123456789abcdef0123456789abcdef","created_us":-1,"saving_us":1,"result":{}}' '{"cache":2,"pipeline":"line","settings":"x"}' \
    '{"key":"0123456789abcdef0123456789abcdef","created_us":1,"saving_us":1,"result":{"a":1}'; do
    "$filler" "$work/d.db" "model 1" 0
    if { head -20 "$work/lines"; echo "$line"; } | "$eddy" cache import --file "$work/d.db" 2>"$work/said"; then fail "taken: $line"; fi
    expect "$work/said" "line 21: not a line of eddy cache export"
    "$eddy" cache stats --file "$work/d.db" --json >"$work/stats"
    expect "$work/stats" '{"entries":0,'
done

"$eddy" cache purge --file "$work/a.db" --pipeline line >"$work/said"
"$eddy" cache stats --file "$work/a.db" --json >"$work/stats"
expect "$work/stats" '{"entries":0,'
if "$eddy" cache purge --file "$work/a.db" --pipeline none 2>"$work/said"; then fail "purged what is not there"; fi
if "$eddy" cache stats --file "$work/none.db" 2>"$work/said"; then fail "stats of no file"; fi
expect "$work/said" "no such file"
echo "no database at all, just words" >"$work/e.db"
if "$eddy" cache stats --file "$work/e.db" 2>"$work/said"; then fail "stats of a damaged file"; fi
[ -s "$work/e.db" ] || fail "a damaged file was moved by a command that only looks"
set +e
"$eddy" cache frobnicate --file "$work/a.db" 2>/dev/null
[ $? = 2 ] || fail "an unknown verb is a usage error"
echo "all true"
