#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# unit_security.sh UNIT: systemd itself rates the unit's hardening; 0 is a locked box, 10 none at all. At most 1.5 here.
set -eu

command -v systemd-analyze >/dev/null || { echo "skipped: systemd-analyze is not here"; exit 77; }
systemd-analyze security --help | grep -q -- --offline || { echo "skipped: this systemd-analyze cannot rate a file"; exit 77; }
systemd-analyze security --no-pager --offline=true --threshold=15 "$1"
