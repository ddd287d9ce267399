#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# agent.sh BUILD: the agent as a whole on this machine, with a real mosquitto and the demo's models:
#   from the start of eddyd to the first result at a subscriber (a retained frame waits at the broker); memory at rest; readings a second,
#   each stored before it is acknowledged, as many as one mosquitto_pub sends. One JSON line; the lowest of START_ROUNDS starts.
set -euo pipefail
top=$(dirname "$(readlink -f "$0")")/..
build=$(readlink -f "$1")
work=$(mktemp -d)
source "$top/bench/broker.sh"
START_ROUNDS=5
READINGS=${READINGS:-50000}

configure()
{
    sed -e "s|@PORT@|$port|; s|@STATE@|$work/state|; s|@MODELS@|$top/examples/factory/models|; s|linger: 200ms|linger: 0ms|" \
        "$top/examples/factory/eddy.yaml" >"$work/eddy.yaml"
}

start_agent()
{
    "$build/eddyd" -c "$work/eddy.yaml" 2>>"$work/eddyd.log" &
    agent=$!
    pids+=("$agent")
}

stop_agent()
{
    kill "$agent"
    wait "$agent"
    unset "pids[-1]"
}

now_ms()
{
    local ns
    ns=$(date +%s%N)
    echo $((ns / 1000000))
}

first_result_ms()
{
    local begin subscriber best=1000000 took
    mosquitto_pub -p "$port" -r -q 1 -t camera/1/frame -f "$top/examples/factory/frames/part-00.jpg"
    for _ in $(seq $START_ROUNDS); do
        rm -rf "$work/state"
        mosquitto_sub -p "$port" -t 'eddy/+/result/#' -C 1 >/dev/null &
        subscriber=$!
        sleep 0.3
        begin=$(now_ms)
        start_agent
        wait "$subscriber"
        took=$(($(now_ms) - begin))
        [ "$took" -ge "$best" ] || best=$took
        stop_agent
    done
    mosquitto_pub -p "$port" -r -q 1 -t camera/1/frame -n
    echo "$best"
}

rest_pss_kb()
{
    start_agent
    sleep 3
    awk '/^Pss:/ { print $2 }' "/proc/$agent/smaps_rollup"
    stop_agent
}

send_readings()
{
    for _ in $(seq "$2"); do echo "$reading"; done | mosquitto_pub -p "$port" -V 5 -q 1 -t "$1" -l
}

lines()
{
    wc -l <"$work/results"
}

# From the first reading sent to the last window received; a window of 64 samples is two readings of 32.
readings_per_s()
{
    local reading begin took expected
    reading=$(python3 -c 'import json, sys; print(json.dumps(json.loads(open(sys.argv[1]).readline())["payload"]))' \
        "$top/examples/factory/readings/readings.ndjson")
    start_agent
    "$build/eddy" tail -b "mqtt://127.0.0.1:$port" >"$work/results" &
    pids+=($!)
    while [ "$(lines)" = 0 ] && kill -0 "$agent"; do # until the subscriber is there
        send_readings sensor/0/reading 2
        sleep 0.2
    done
    sleep 1
    expected=$(($(lines) + READINGS - 1))
    begin=$(now_ms)
    send_readings sensor/1/reading "$READINGS"
    while [ "$(lines)" -lt "$expected" ] && kill -0 "$agent"; do sleep 0.02; done
    took=$(($(now_ms) - begin))
    kill "${pids[@]:1}"
    echo $((READINGS * 1000 / took))
}

start_broker
configure
printf '{"bench":"agent","first_result_ms":%s,' "$(first_result_ms)"
printf '"rest_pss_kb":%s,' "$(rest_pss_kb)"
printf '"readings":%s,"readings_per_s":%s}\n' "$READINGS" "$(readings_per_s)"
