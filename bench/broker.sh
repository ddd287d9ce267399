# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts here, which have set `work` to a folder of their own: brokers on free loopback ports. What is in `pids` ends with the script, and
# the folder goes.
pids=()

clean_up()
{
    [ "${#pids[@]}" = 0 ] || kill "${pids[@]}" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap clean_up EXIT

free_port()
{
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start_broker [SETTING...]: a mosquitto that answers at port $port; each SETTING is a line of its configuration.
start_broker()
{
    port=$(free_port)
    printf '%s\n' "listener $port 127.0.0.1" 'allow_anonymous true' 'max_queued_messages 0' "$@" >"$work/$port.conf"
    PATH=$PATH:/usr/sbin mosquitto -c "$work/$port.conf" 2>"$work/$port.log" &
    pids+=($!)
    until mosquitto_pub -p "$port" -t ready -n 2>/dev/null; do sleep 0.05; done
}
