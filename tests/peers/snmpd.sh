#!/bin/bash
# snmpd.sh WORKDIR start PORT [OBJECTID]|stop: a real SNMP agent (net-snmp) on loopback, whose tables are the lines of
# WORKDIR/data (snmp-data.py); OBJECTID is what it says it is. Communities `upheld` and `public`; user `upheldv3` with SHA
# `authpass123` and AES `privpass123`. Its own tables of interfaces are off: those of the file stand in their place.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mkdir -p "$1" && cd "$1" && pwd)
export MIBS='' SNMP_PERSISTENT_DIR=$work/persist

case $2 in
    start)
        mkdir -p "$work/persist"
        cat > "$work/snmpd.conf" <<CONF
rocommunity upheld 127.0.0.1
rocommunity public 127.0.0.1
createUser upheldv3 SHA authpass123 AES privpass123
rouser upheldv3 authpriv
sysName upheld-peer
${4:+sysObjectID $4}
pass_persist .1.3.6.1.2.1.2 /usr/bin/python3 $here/snmp-data.py $work/data
pass_persist .1.3.6.1.2.1.10 /usr/bin/python3 $here/snmp-data.py $work/data
pass_persist .1.3.6.1.2.1.17 /usr/bin/python3 $here/snmp-data.py $work/data
pass_persist .1.3.6.1.2.1.31 /usr/bin/python3 $here/snmp-data.py $work/data
pass_persist .1.3.6.1.2.1.33 /usr/bin/python3 $here/snmp-data.py $work/data
pass_persist .1.3.6.1.2.1.105 /usr/bin/python3 $here/snmp-data.py $work/data
pass_persist .1.3.6.1.4.1.318 /usr/bin/python3 $here/snmp-data.py $work/data
CONF
        # Its own modules that would answer in place of the file.
        off=-interfaces,ifTable,ifXTable,dot3StatsTable,etherStatsTable
        setsid snmpd -f -Lo -C -c "$work/snmpd.conf" -I "$off" "udp:127.0.0.1:$3" > "$work/log" 2>&1 < /dev/null &
        echo $! > "$work/pid"
        for _ in $(seq 100); do
            if snmpget -v2c -c upheld -t 0.3 -r 0 "127.0.0.1:$3" .1.3.6.1.2.1.1.5.0 > "$work/first" 2>&1; then exit 0; fi
        done
        cat "$work/log" "$work/first" >&2
        exit 1 ;;
    # Its handlers end with it: their input does. Whoever comes next at its port must find it free.
    stop)
        if [ -s "$work/pid" ]; then
            pid=$(cat "$work/pid")
            kill "$pid" 2>/dev/null || true
            for _ in $(seq 100); do [ -e "/proc/$pid/exe" ] || break; sleep 0.05; done
            rm -f "$work/pid"
        fi ;;
esac
