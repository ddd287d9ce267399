#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# rates.sh BUILD [inbound|uplink] [FOLDER]: eddyd between real brokers (mosquitto), on the disk of FOLDER (default: a folder under /var/tmp), beside the
# alternative and what physics allow:
#   inbound  readings of 200 bytes at QoS 1, each stored before it is acknowledged, with SLOW_SYNC_US (5000) added to each sync
#   uplink   batches a second out of a backlog, each confirmed and removed, over a link with a round trip of 1 and of 100 ms
set -euo pipefail
top=$(dirname "$(readlink -f "$0")")/..
build=$(readlink -f "$1")
part=${2:-all}
work=$(mktemp -d -p "${3:-/var/tmp}")
source "$top/bench/broker.sh"
READINGS=${READINGS:-200000}
export SLOW_SYNC_US=${SLOW_SYNC_US:-5000}

configure() # UPSTREAM_PORT
{
    cat >"$work/eddy.yaml" <<Y
agent: { id: gw, state_dir: $work/state }
local: { url: "mqtt://127.0.0.1:$port" }
upstream: { url: "mqtt://127.0.0.1:$1" }
outbox: { max_bytes: 2GiB }
models_dir: $top/examples/factory/models
pipelines:
  - name: motor
    topics: ["sensor/+/reading"]
    input: { kind: series, format: f32le, fields: [x, y, z], window: 64, hop: 64 }
    model: motor-anomaly
    cache: { mode: "off" }
    sink: { batch: 64, linger: 50ms, compression: lz4 }
Y
}

watch() # RESULTS NAME, $preload
{
    "$build/bench/rates" watch "mqtt://127.0.0.1:$port" "$1" "$2" env LD_PRELOAD="${preload:-}" "$build/eddyd" -c "$work/eddy.yaml" 2>>"$work/eddyd.log"
}

# The readings wait in the agent's session at the broker, so that whoever sends them costs nothing meanwhile.
inbound()
{
    local group sync agent
    start_broker
    configure "$port"
    rm -rf "$work/state"
    mkdir "$work/state"
    "$build/eddyd" -c "$work/eddy.yaml" 2>>"$work/eddyd.log" & # its session is what is wanted
    agent=$!
    mosquitto_sub -p "$port" -t eddy/gw/status -C 1 >/dev/null
    sleep 0.5
    kill "$agent"
    wait "$agent"
    "$build/bench/rates" publish "mqtt://127.0.0.1:$port" sensor/1/reading "$READINGS"
    preload=$build/bench/slow_sync.so watch $((READINGS / 4)) "inbound: eddyd, 4 readings a result"
    for group in 1 256; do
        sync=$(LD_PRELOAD="$build/bench/slow_sync.so" "$build/bench/rates" append "$work" "$group")
        echo "inbound: $sync"
    done
}

# The alternative: bodies of the same size out of a pipe, kept nowhere.
unstored() # PORT
{
    local line begin took count=5000
    line=$(head -c 6300 /dev/zero | tr '\0' x)
    begin=$(date +%s%N)
    { yes "$line" || true; } | head -n "$count" | mosquitto_pub -p "$1" -V 5 -q 1 -t other -l
    took=$((($(date +%s%N) - begin) / 1000))
    echo "uplink: mosquitto_pub -q 1 -l, 1 ms, window 20: $((count * 1000000 / took)) messages/s"
}

uplink()
{
    local rtt window batches proxy proxy_port
    for window in 20 64; do
        for rtt in 1000 100000; do
            batches=$((rtt == 1000 ? 20000 : 3000))
            start_broker "max_inflight_messages $window" 'set_tcp_nodelay true' # else its PUBACKs wait for each other, and for delayed ACKs
            proxy_port=$(free_port)
            "$build/bench/delay_proxy" "$proxy_port" "$port" "$rtt" &
            proxy=$!
            pids+=("$proxy")
            configure "$proxy_port"
            rm -rf "$work/state"
            mkdir "$work/state"
            "$build/bench/rates" fill "$work/state/outbox.db" "$batches"
            watch $((batches * 64)) "uplink: $((rtt / 1000)) ms, window $window (at most $((window * 1000000 / rtt)) batches/s)"
            [ "$window$rtt" != 201000 ] || unstored "$proxy_port"
            kill "$proxy"
            unset "pids[-1]"
        done
    done
}

case "$part" in
all) inbound; uplink ;;
inbound | uplink) "$part" ;;
*) echo "usage: bench/rates.sh BUILD [inbound|uplink] [FOLDER]" >&2; exit 2 ;;
esac
