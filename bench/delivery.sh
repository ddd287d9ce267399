#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# delivery.sh BUILD [FOLDER]: the figures of bench/delivery.c on the disk of FOLDER (default: a folder under /var/tmp), with a mosquitto of its own.
set -euo pipefail
build=$(readlink -f "$1")
work=$(mktemp -d -p "${2:-/var/tmp}")
broker=

clean_up()
{
    [ -z "$broker" ] || kill "$broker" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap clean_up EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$port" >"$work/mosquitto.conf"
PATH=$PATH:/usr/sbin mosquitto -c "$work/mosquitto.conf" 2>"$work/mosquitto.log" &
broker=$!
until mosquitto_pub -p "$port" -t ready -n 2>/dev/null; do sleep 0.05; done
"$build/bench/delivery" "$work" "mqtt://127.0.0.1:$port"
