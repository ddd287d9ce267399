#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# prove.sh [FILE.deb]: the package's life in a fresh, minimal Debian 12: install, check, run on shipped frames, reload, stop, upgrade,
# remove, purge; nothing may be left. Needs root and this machine's apt sources. Prints one "ok - ..." or "not ok - ..." line a proof.
set -euo pipefail
top=$(dirname "$(readlink -f "$0")")/..
deb=${1:-$(echo "$top"/build/deb/eddy_*.deb)}
work=$(mktemp -d)
root=$work/root
agent_pid=
broker_pid=
failures=0

# The largest that the package may install, demo data aside.
SIZE_LIMIT_KIB=1024
RESULT_COUNT=12

clean_up()
{
    [ -z "$agent_pid" ] || kill "$agent_pid" 2>/dev/null || true
    [ -z "$broker_pid" ] || kill "$broker_pid" 2>/dev/null || true
    wait
    umount "$root/proc" 2>/dev/null || true
    rm -rf --one-file-system "$work"
}
trap clean_up EXIT

give_up()
{
    echo "not ok - $*"
    exit 1
}

# prove "sentence" command...: a function proves something by its status alone (set -e does not reach into a condition).
prove()
{
    local sentence=$1
    shift
    if "$@" >"$work/output" 2>&1; then
        echo "ok - $sentence"
    else
        echo "not ok - $sentence"
        sed 's/^/    /' "$work/output"
        failures=$((failures + 1))
    fi
}

absent()
{
    local path
    for path in "$@"; do
        [ ! -e "$root$path" ] || { echo "$path is still there"; return 1; }
    done
}

inside()
{
    chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# wait_until SECONDS command...
wait_until()
{
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}

install_tools()
{
    command -v mmdebstrap >/dev/null && command -v lintian >/dev/null && return
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends mmdebstrap lintian debian-archive-keyring
}

# The archive that this machine itself uses, in whichever of the two forms: only the one that has bookworm's packages.
host_sources()
{
    local file
    for file in /etc/apt/sources.list.d/*.sources; do
        if [ -e "$file" ] && grep -q '^Suites:.*bookworm' "$file"; then
            cat "$file"
            return
        fi
    done
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | grep -E '^deb .*bookworm'
}

fresh_debian()
{
    host_sources >"$work/sources"
    [ -s "$work/sources" ] || give_up "no apt source for bookworm on this machine"
    mmdebstrap --quiet --mode=root --variant=minbase bookworm "$root" - <"$work/sources" >"$work/output" 2>&1 || {
        cat "$work/output"
        give_up "a fresh Debian 12 can be made (mmdebstrap)"
    }
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    mount -t proc proc "$root/proc" || give_up "/proc can be mounted in the fresh Debian"
    cp "$deb" "$root/eddy.deb"
    inside apt-get update -q >/dev/null
}

installed_size_is_small()
{
    local all demo
    all=$(inside dpkg-query -L eddy | while read -r path; do [ ! -f "$root$path" ] || stat -c %s "$root$path"; done |
        awk '{ sum += $1 } END { print int(sum / 1024) }')
    demo=$(find "$root/usr/share/eddy/demo" -type f -printf '%s\n' | awk '{ sum += $1 } END { print int(sum / 1024) }')
    echo "$((all - demo)) KiB and $demo KiB of demo data"
    [ "$((all - demo))" -le "$SIZE_LIMIT_KIB" ]
}

free_port()
{
    local port
    for port in $(seq 18830 18930); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    return 1
}

broker_answers()
{
    inside mosquitto_pub -h 127.0.0.1 -p "$port" -t prove -n 2>/dev/null
}

start_broker()
{
    port=$(free_port)
    printf 'listener %s 127.0.0.1\nallow_anonymous true\nmax_queued_messages 10000\n' "$port" >"$root/tmp/broker.conf"
    chroot "$root" /usr/sbin/mosquitto -c /tmp/broker.conf >"$work/broker.log" 2>&1 &
    broker_pid=$!
    if ! wait_until 20 broker_answers; then
        cat "$work/broker.log"
        give_up "mosquitto starts in the fresh Debian"
    fi
}

# As an owner would: a model into the models folder, a file into conf.d.
configure()
{
    cp -r "$root/usr/share/eddy/demo/models/part-check" "$root/var/lib/eddy/models/"
    cat >"$root/etc/eddy/conf.d/line.yaml" <<END
agent: { id: prove }
local: { url: "mqtt://127.0.0.1:$port" }
pipelines:
  - name: line
    topics: ["camera/+/frame"]
    input: { kind: image }
    model: part-check
END
}

start_agent()
{
    chroot --userspec=eddy:eddy "$root" /usr/sbin/eddyd -c /etc/eddy/eddy.yaml >"$work/agent.log" 2>&1 &
    agent_pid=$!
}

status_is()
{
    inside timeout 2 mosquitto_sub -h 127.0.0.1 -p "$port" -t eddy/prove/status -C 1 -W 1 2>/dev/null | grep -q "$1"
}

agent_is_up()
{
    wait_until 20 status_is online || { cat "$work/agent.log"; return 1; }
}

# Tail may subscribe later than the first frames arrive: they go round until it has seen enough.
frames_give_results()
{
    local frame end=$((SECONDS + 60)) tail_pid
    inside eddy tail -b "mqtt://127.0.0.1:$port" --count "$RESULT_COUNT" >"$work/results" 2>"$work/tail.log" &
    tail_pid=$!
    while kill -0 "$tail_pid" 2>/dev/null; do
        for frame in "$root"/usr/share/eddy/demo/frames/part-0[0-3].jpg; do
            inside mosquitto_pub -h 127.0.0.1 -p "$port" -q 1 -t camera/1/frame -f "${frame#"$root"}"
        done
        if [ "$SECONDS" -ge "$end" ]; then
            kill "$tail_pid"
            break
        fi
    done
    wait "$tail_pid" || { cat "$work/tail.log" "$work/agent.log"; return 1; }
    cat "$work/results"
    [ "$(grep -c '"pipeline":"line".*"label":' "$work/results")" = "$RESULT_COUNT" ]
}

reload_keeps_running()
{
    kill -HUP "$agent_pid"
    # online again: one that is stopped while it connects is reported by its Last Will
    if ! wait_until 20 grep -q reloaded "$work/agent.log" || ! wait_until 20 status_is online || ! kill -0 "$agent_pid"; then
        cat "$work/agent.log"
        return 1
    fi
}

agent_stops_cleanly()
{
    local status=0
    kill -TERM "$agent_pid"
    wait "$agent_pid" || status=$?
    agent_pid=
    cat "$work/agent.log"
    status_is stopped && [ "$status" = 0 ]
}

wrong_config_exits_78()
{
    local status=0
    printf 'agent: { workers: many }\n' >"$root/tmp/wrong.yaml"
    inside eddyd -c /tmp/wrong.yaml || status=$?
    rm "$root/tmp/wrong.yaml"
    [ "$status" = 78 ]
}

# The same files under a higher version: what is proved is the way from one version to the next.
make_upgrade()
{
    dpkg-deb -R "$deb" "$work/upgrade" &&
        sed -i 's/^Version: .*/&+upgrade1/' "$work/upgrade/DEBIAN/control" &&
        dpkg-deb --root-owner-group -b "$work/upgrade" "$root/upgrade.deb" >/dev/null
}

upgrade_keeps_settings()
{
    echo "# an owner's line" >>"$root/etc/eddy/eddy.yaml"
    make_upgrade &&
        inside apt-get install -y -q ./upgrade.deb </dev/null &&
        inside dpkg-query -W -f '${Version}\n' eddy | grep -q '+upgrade1$' &&
        grep -q "an owner's line" "$root/etc/eddy/eddy.yaml" &&
        [ -e "$root/etc/eddy/conf.d/line.yaml" ] && [ -e "$root/var/lib/eddy/outbox.db" ]
}

remove_keeps_settings()
{
    inside apt-get remove -y -q eddy &&
        absent /usr/sbin/eddyd /usr/bin/eddy /lib/systemd/system/eddyd.service /usr/lib/systemd/system/eddyd.service &&
        [ -e "$root/etc/eddy/eddy.yaml" ] && [ -e "$root/var/lib/eddy" ]
}

purge_leaves_nothing()
{
    rm "$root/etc/eddy/conf.d/line.yaml" # the owner's own file is not the package's to remove
    inside apt-get purge -y -q eddy &&
        absent /etc/eddy /var/lib/eddy /run/eddy /usr/share/eddy /usr/share/doc/eddy &&
        ! inside getent passwd eddy &&
        ! inside getent group eddy &&
        ! find "$root"/etc/systemd "$root"/var/lib/systemd "$root"/lib/systemd -name 'eddyd*' 2>/dev/null | grep . &&
        ! inside dpkg-query -W eddy
}

main()
{
    [ "$(id -u)" = 0 ] || give_up "prove.sh runs as root"
    [ -f "$deb" ] || give_up "the package is there: $deb (./dev deb makes it)"
    install_tools
    prove "lintian has nothing to say" lintian --allow-root --fail-on error,warning "$deb"
    fresh_debian
    prove "it installs with apt" inside apt-get install -y -q --no-install-recommends ./eddy.deb mosquitto mosquitto-clients
    prove "it is at most $SIZE_LIMIT_KIB KiB without the demo data" installed_size_is_small
    prove "the shipped configuration is good" inside eddyd -c /etc/eddy/eddy.yaml --check
    prove "a wrong configuration exits with 78" wrong_config_exits_78
    start_broker
    configure
    prove "the configuration, its model and its files fit" inside eddy check
    start_agent
    prove "the agent comes up as user eddy" agent_is_up
    prove "$RESULT_COUNT results come out of shipped frames" frames_give_results
    prove "it reloads on SIGHUP" reload_keeps_running
    prove "it stops cleanly on SIGTERM" agent_stops_cleanly
    prove "the demo runs from the package" inside eddy demo --seconds 5
    prove "an upgrade keeps settings and state" upgrade_keeps_settings
    prove "removal keeps settings and state" remove_keeps_settings
    prove "a purge leaves nothing" purge_leaves_nothing
    [ "$failures" = 0 ]
}

main
