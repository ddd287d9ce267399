#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times eddy beside other runtimes on the same nets, in the same rounds, and prints how much faster it is than the fastest of them.

usage: bench/inference.py BUILD [--peers FOLDER] [--rounds N] [--threads N] [--nets A,B] [--precision int8|fp32] [--generated] [--json FILE]

BUILD     folder with the program eddy
FOLDER    where the peers were set up: env.sh names their drivers, nets/ holds each net as .onnx (NET.s8.onnx, NET.u8.onnx, NET.fp32.onnx) and in
          the drivers' own form. Default: $EDDY_PEERS. Without it, or without a single peer, nothing is measured; the script says so and exits 0.

--generated  the nets of bench/generated_nets.py instead, which nobody tuned for; of the peers ONNX Runtime alone reads them

Every process is short; rounds go over all programs in turn; a program's figure is its lowest median over the rounds. A ratio is
the best peer's time over eddy's: above 1, eddy is faster. eddy runs both forms of an int8 net, the better one counts, as for the peers."""
import argparse
import json
import math
import os
import shlex
import subprocess
import sys
import tempfile

import generated_nets


def settings(folder):
    """Variables that env.sh exports."""
    path = os.path.join(folder, "env.sh")
    if not os.path.exists(path):
        return None
    shown = subprocess.run(["bash", "-c", '. "$1" && env -0', "bash", path], capture_output=True, check=True).stdout
    return dict(pair.split("=", 1) for pair in shown.decode().split("\0") if "=" in pair)


def programs(build, nets, env, net, precision, threads, runs):
    """Pairs of a runtime's name and its command for one net."""
    stem = os.path.join(nets, net)
    forms = ["s8", "u8"] if precision == "int8" else ["fp32"]
    kernel_form = "xq" if precision == "int8" else "xf"
    for form in forms:
        yield "eddy", [os.path.join(build, "eddy"), "bench", f"{stem}.{form}.onnx", "--threads", str(threads), "--runs", str(runs), "--json"]
        if env.get("ORT_BENCH"):
            yield "onnxruntime", [env["ORT_BENCH"], env["ORT_LIB"], f"{stem}.{form}.onnx", str(threads), str(runs)]
    for name, variable in (("xnnpack", "XNN_BENCH"), ("onednn", "DNNL_BENCH")):
        if env.get(variable) and os.path.exists(f"{stem}.{kernel_form}"):
            yield name, shlex.split(env[variable]) + [f"{stem}.{kernel_form}", str(threads), str(runs)]


def run_once(command):
    """The last line's JSON, or None where the program failed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        return json.loads(done.stdout.strip().splitlines()[-1]) if done.returncode == 0 else None
    except (subprocess.TimeoutExpired, ValueError, IndexError, OSError):
        return None


def measure(arguments, nets, env, net, macs):
    """Lowest median in milliseconds by runtime."""
    best = {}
    runs = int(max(25, min(3000, 6e8 / (macs / 80 + 3e4))))
    for _ in range(arguments.rounds):
        for name, command in programs(arguments.build, nets, env, net, arguments.precision, arguments.threads, runs):
            seen = run_once(command)
            if seen is not None:
                best[name] = min(best.get(name, math.inf), seen["med_ms"])
    return best


def compare(arguments, nets_folder, env):
    """Prints the table; the times by net."""
    with open(os.path.join(nets_folder, "nets.json"), encoding="utf-8") as file:
        nets = json.load(file)
    chosen = arguments.nets.split(",") if arguments.nets else sorted(nets, key=lambda net: nets[net]["macs"])
    peers = ("onnxruntime", "xnnpack", "onednn")
    print(f"| net ({arguments.precision}, {arguments.threads} thread) | eddy ms | " + " | ".join(f"{peer} ms" for peer in peers) + " | ratio to the best |")
    print("|---|---|" + "---|" * len(peers) + "---|")
    logarithms, all_seen = [], {}
    for net in chosen:
        seen = measure(arguments, nets_folder, env, net, nets[net]["macs"])
        all_seen[net] = seen
        others = [seen[peer] for peer in peers if peer in seen]
        ratio = min(others) / seen["eddy"] if others and "eddy" in seen else None
        if ratio is not None:
            logarithms.append(math.log(ratio))
        cells = [f"{seen[name]:.4f}" if name in seen else "-" for name in ("eddy",) + peers]
        print(f"| {net} ({nets[net]['macs'] / 1e6:.1f} M) | " + " | ".join(cells) + (f" | {ratio:.2f} |" if ratio is not None else " | - |"), flush=True)
    if logarithms:
        print(f"geometric mean: {math.exp(sum(logarithms) / len(logarithms)):.3f}")
    return all_seen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--peers", default=os.environ.get("EDDY_PEERS", ""))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--nets", default="")
    parser.add_argument("--precision", choices=["int8", "fp32"], default="int8")
    parser.add_argument("--generated", action="store_true")
    parser.add_argument("--json", default="")
    arguments = parser.parse_args()
    env = settings(arguments.peers) if arguments.peers else None
    if env is None or not (env.get("ORT_BENCH") or env.get("XNN_BENCH") or env.get("DNNL_BENCH")):
        print("bench/inference.py: no peers to compare with: give --peers FOLDER or EDDY_PEERS, a folder with env.sh and nets/; nothing measured")
        return 0
    if arguments.generated:
        with tempfile.TemporaryDirectory() as folder:
            generated_nets.write(folder)
            all_seen = compare(arguments, folder, env)
    else:
        all_seen = compare(arguments, os.path.join(arguments.peers, "nets"), env)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(all_seen, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
