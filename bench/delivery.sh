#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# delivery.sh BUILD [FOLDER]: the figures of bench/delivery.c on the disk of FOLDER (default: a folder under /var/tmp), with a mosquitto of its own.
set -euo pipefail
build=$(readlink -f "$1")
work=$(mktemp -d -p "${2:-/var/tmp}")
source "$(dirname "$(readlink -f "$0")")/broker.sh"

start_broker
"$build/bench/delivery" "$work" "mqtt://127.0.0.1:$port"
