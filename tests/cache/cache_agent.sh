#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The cache in a running agent, with a real broker: repeats are answered, also after a restart; a purge forgets; a damaged file is set
# aside, told of by an event, and the agent runs on.
# usage: cache_agent.sh EDDY SOURCE_DIR
set -eu
eddy=$1 source=$2
command -v mosquitto >/dev/null && command -v mosquitto_sub >/dev/null || { echo "skipped: no mosquitto"; exit 77; }
work=$(mktemp -d)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url=mqtt://127.0.0.1:$port
agent=
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$work"' EXIT
fail() { echo "FAILED: $1" >&2; tail -20 "$work/log" >&2; exit 1; }
wait_for() { # FILE TEXT: a broken agent never gets there, ctest's own limit ends it
    until grep -qsF -- "$2" "$1"; do sleep 0.05; done
}
printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$port" >"$work/mosquitto.conf"
mosquitto -c "$work/mosquitto.conf" >/dev/null 2>&1 &
cat >"$work/eddy.yaml" <<Y
agent: { id: gw, state_dir: $work/state }
local: { url: "$url" }
models_dir: $source/examples/factory/models
pipelines:
  - name: line
    topics: ["camera/+/frame"]
    input: { kind: image }
    model: part-check
    cache: { mode: near, ttl: 1h, max_disagreement: 2% }
    sink: { batch: 1, linger: 0ms }
Y
start() {
    "$eddy"d -c "$work/eddy.yaml" 2>"$work/log" &
    agent=$!
    wait_for "$work/log" "upstream broker connected"
    wait_for "$work/log" "local broker connected"
}
stop() { kill -TERM "$agent"; wait "$agent" || fail "a clean stop"; }
ask() { # FRAME: prints where its result came from
    "$eddy" tail -b "$url" --count 1 >"$work/result" &
    local tail=$!
    until mosquitto_pub -h 127.0.0.1 -p "$port" -q 1 -t camera/1/frame -f "$source/examples/factory/frames/$1" && sleep 0.2 &&
        ! kill -0 "$tail" 2>/dev/null; do sleep 0.3; [ -s "$work/result" ] && break; done
    wait "$tail"
    sed -n 's/.*"cache":"\([a-z]*\)".*/\1/p' "$work/result"
}
stats() { "$eddy" ctl -b "$url" -a gw cache-stats; }
until mosquitto_pub -h 127.0.0.1 -p "$port" -t probe -n 2>/dev/null; do sleep 0.05; done
mosquitto_sub -h 127.0.0.1 -p "$port" -t 'eddy/gw/event/#' -v >"$work/events" &

start
ask part-00.jpg >/dev/null # whichever of the first two a late subscriber saw
[ "$(ask part-00.jpg)" = hit ] || fail "a repeat is a hit"
stats >"$work/stats"
grep -q '"misses":1,' "$work/stats" || fail "one miss: $(cat "$work/stats")"
grep -q '"near":{"trusted_distance":0,' "$work/stats" || fail "near has nothing to trust yet: $(cat "$work/stats")"
stop
"$eddy" cache stats -c "$work/eddy.yaml" | grep -q '^line' || fail "what was asked for twice is on disk"

start
[ "$(ask part-00.jpg)" = hit ] || fail "a repeat is a hit after a restart"
stats >"$work/stats"
grep -q '"found_disk":1,' "$work/stats" || fail "found on disk: $(cat "$work/stats")"
"$eddy" ctl -b "$url" -a gw cache-purge '{"pipeline":"line"}' >/dev/null || fail "cache-purge"
stats | grep -q '"disk_entries":0,' || fail "purged"
stop

head -c 9000 /dev/urandom >"$work/state/cache.db"
rm -f "$work/state/cache.db-wal" "$work/state/cache.db-shm"
start
wait_for "$work/events" "eddy/gw/event/cache-damaged"
ls "$work"/state/cache.db.damaged-* >/dev/null || fail "the damaged file is kept"
[ -n "$(ask part-01.jpg)" ] || fail "the agent runs on"
stop
echo "all true"
