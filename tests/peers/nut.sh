#!/bin/bash
# nut.sh WORKDIR start PORT|driver|dead|server|stop: a real NUT server (upsd) and its dummy driver on loopback, for one
# supply `ups1`. The driver reads WORKDIR/etc/ups1.dev again once a second when it has changed. Programs are found on PATH:
# upsd is Debian's /lib/nut/upsd, since /sbin/upsd only starts what /etc/nut names.
set -eu
work=$(mkdir -p "$1" && cd "$1" && pwd)
export NUT_CONFPATH=$work/etc NUT_STATEPATH=$work/run NUT_ALTPIDPATH=$work/run
user=$(id -un)

driver() { dummy-ups -a ups1 -u "$user" > "$work/driver.log" 2>&1 || { cat "$work/driver.log" >&2; exit 1; }; }

case $2 in
    start)
        mkdir -p "$work/etc" "$work/run"
        chmod 750 "$work/run"
        printf 'pollinterval = 1\nmaxretry = 3\n[ups1]\n  driver = dummy-ups\n  port = ups1.dev\n  mode = dummy-once\n' \
            > "$work/etc/ups.conf"
        cat > "$work/etc/ups1.dev" <<'DEVICE'
ups.mfr: Upheld Test
ups.model: Dummy 1500
battery.charge: 100
battery.runtime: 3600
battery.voltage: 27.3
input.voltage: 230.1
output.voltage: 230.0
ups.load: 21
ups.status: OL
DEVICE
        printf 'LISTEN 127.0.0.1 %s\nSTATEPATH %s\nMAXAGE 5\n' "$3" "$work/run" > "$work/etc/upsd.conf"
        printf '[upheld]\n  password = upheld\n  actions = SET\n' > "$work/etc/upsd.users"
        chmod 640 "$work/etc/upsd.users" "$work/etc/upsd.conf"
        driver
        upsd -u "$user" > "$work/upsd.log" 2>&1 || { cat "$work/upsd.log" >&2; exit 1; } ;;
    driver) driver ;;
    dead) kill -9 "$(cat "$work/run/dummy-ups-ups1.pid")" ;;
    server) kill "$(cat "$work/run/upsd.pid")" ;;
    stop)
        # A server that is stopped before it has written its number would stay.
        for file in "$work"/run/*.pid; do
            if [ -s "$file" ]; then kill "$(cat "$file")" 2>/dev/null || true; fi
        done ;;
esac
