#!/bin/bash
# apcupsd.sh WORKDIR start PORT SNMP_PORT|stop: a real apcupsd on loopback. Its supply is an SNMP agent of ours (snmpd.sh,
# RFC 1628) at SNMP_PORT, or its built-in one that never changes where SNMP_PORT is `test`.
# What apcupsd runs at an event is a recorder (WORKDIR/events): nothing here can shut this machine down.
set -eu
work=$(mkdir -p "$1" && cd "$1" && pwd)

case $2 in
    start)
        mkdir -p "$work/scripts"
        printf '#!/bin/sh\necho "$@" >> %s/events\n' "$work" > "$work/scripts/apccontrol"
        chmod 755 "$work/scripts/apccontrol"
        if [ "$4" = test ]; then
            supply=$'UPSCABLE smart\nUPSTYPE test\nDEVICE'
        else
            supply=$'UPSCABLE ether\nUPSTYPE snmp\nDEVICE 127.0.0.1:'"$4"$':RFC:upheld\nPOLLTIME 1'
        fi
        cat > "$work/apcupsd.conf" <<CONF
## apcupsd.conf v1.1 ##
UPSNAME rack1
$supply
LOCKFILE $work
SCRIPTDIR $work/scripts
PWRFAILDIR $work
NOLOGINDIR $work
ONBATTERYDELAY 1
NETSERVER on
NISIP 127.0.0.1
NISPORT $3
EVENTSFILE $work/log.events
STATTIME 0
CONF
        setsid apcupsd -b -f "$work/apcupsd.conf" -P "$work/own.pid" > "$work/log" 2>&1 < /dev/null &
        echo $! > "$work/pid" ;;
    stop) if [ -s "$work/pid" ]; then kill "$(cat "$work/pid")" 2>/dev/null || true; rm -f "$work/pid"; fi ;;
esac
