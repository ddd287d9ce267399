#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# libeddy-infer as others use it: library.sh BUILD SOURCE CC CODE_BYTES_MAX [CFLAG...]: installed into an empty folder, the example compiles
# against it through pkg-config alone, runs a model and says what is wrong with a file that is none. Only eddy_* leaves the library.
set -euo pipefail
build=$1 source=$2 compiler=$3 code_bytes_max=$4
shift 4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

bad()
{
    echo "BAD  $*"
    exit 1
}

cmake --install "$build" --component infer --prefix "$folder/usr" >/dev/null
PKG_CONFIG_PATH=$(dirname "$(find "$folder" -name libeddy-infer.pc)")
export PKG_CONFIG_PATH
read -ra flags < <(pkg-config --cflags --libs libeddy-infer)
lines=$(wc -l < "$source/examples/infer/infer.c")
[ "$lines" -lt 40 ] || bad "the example has $lines lines, under 40 were promised"
"$compiler" -std=c11 -Wall -Wextra -Werror "$@" "$source/examples/infer/infer.c" "${flags[@]}" -o "$folder/infer"
echo "ok   the example ($lines lines) compiles against the installed tree"

model=$source/examples/factory/models/part-check/1.0.0/part-check.onnx
"$folder/infer" "$model" | tee "$folder/printed"
grep -q '^in .*bytes$' "$folder/printed" || bad "no input was described"
grep -q '^out .*bytes$' "$folder/printed" || bad "no output was described"
echo "ok   the example runs a model"

if "$folder/infer" "$source/LICENSE" 2> "$folder/said"; then
    bad "a text was taken for a model"
fi
grep -q LICENSE "$folder/said" || bad "the message does not name the file: $(cat "$folder/said")"
echo "ok   a file that is no model is refused: $(cat "$folder/said")"

archive=$(find "$folder" -name libeddy-infer.a)
foreign=$(nm --defined-only --extern-only "$archive" | awk 'NF == 3 && $3 !~ /^eddy_/ { print $3 }')
[ -z "$foreign" ] || bad "names leave the library that do not begin with eddy_: $foreign"
writable=$(size -A "$archive" | awk '$1 ~ /^\.(data|bss|tdata|tbss)$/ { sum += $2 } END { print sum + 0 }')
code=$(size -A "$archive" | awk '/^\.text/ { sum += $2 } END { print sum }')
if [ "$code_bytes_max" -gt 0 ]; then
    [ "$writable" -le 96 ] || bad "the library has $writable bytes of writable globals, expected at most the list of this CPU's kernels and its once-flag"
    [ "$code" -le "$code_bytes_max" ] || bad "$code bytes of code, at most $code_bytes_max"
fi
echo "ok   only eddy_* is visible; $code bytes of code, $writable of writable data"
