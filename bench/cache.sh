#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The figures of docs/cache.md: policy against LRU, SIEVE, W-TinyLFU and Belady on traces; what a look-up costs; what near saves.
# usage: bench/cache.sh BUILD_FOLDER [policy|cost|near]   (near, and the trace of real sensors, need the data folder beside the checkout)
set -eu
build=$1 part=${2:-all}
root=$(cd "$(dirname "$0")/.." && pwd)
data=${EDDY_SHARED:-$root/../shared}/data
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

policy()
{
    local traces=()
    if [ -d "$data/sensors" ]; then
        # one reading a line, without its time: temperature, humidity, light, CO2 of one room, minute by minute
        sed -s 1d "$data"/sensors/occupancy_data*.txt | sed 's/^"[0-9]*",[^,]*,//' | cut -d, -f1-4 >"$work/room-readings"
        traces=("$work/room-readings")
    fi
    "$build/bench/cache_policy" "${traces[@]}"
}

cost()
{
    "$build/bench/cache_cost" "$root/examples/factory/models/part-check/1.0.0" "$root/examples/factory/frames/part-00.jpg"
}

bundle() # NAME MODEL_FILE, the rest of model.yaml from stdin
{
    mkdir "$work/$1"
    cp "$data/models/$2" "$work/$1/"
    { printf 'name: %s\nversion: "1"\nfile: %s\n' "$1" "$2"; cat; } >"$work/$1/model.yaml"
}

near()
{
    local model
    if [ ! -d "$data/images" ]; then
        echo "near: skipped, no $data"
        return
    fi
    bundle person vww_96_int8.tflite <<'Y'
task: classification
labels: [no-person, person]
input: {color: rgb, resize: stretch, mean: [0, 0, 0], std: [255, 255, 255]}
output: {decode: classes}
Y
    bundle face face_rfb_320.onnx <<'Y'
task: detection
labels: [face]
input: {color: rgb, resize: stretch, mean: [127, 127, 127], std: [128, 128, 128]}
output: {decode: boxes, threshold: 0.7, iou: 0.3}
Y
    for model in person face; do
        "$build/bench/cache_near" "$work/$model" 1 "$data"/images/sequence-person/*.jpg "$data"/images/sequence-bottles/*.jpg
        echo
    done
}

case "$part" in
all) policy; cost; near ;;
policy | cost | near) "$part" ;;
*) echo "usage: bench/cache.sh BUILD_FOLDER [policy|cost|near]" >&2; exit 2 ;;
esac
