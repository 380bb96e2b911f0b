# Sourced by tests/windows/check --run: the agent built for Windows, under wine, against a real collector on loopback.
#
# Wine is not Windows: it shows that the program starts, finds its files, speaks TLS, answers on its pipe, and does what
# the service manager asks. It enforces no access list and no account (docs/windows.md).

# windows_smoke PEERS/windows
windows_smoke() {
    local target=${CARGO_TARGET_DIR:-target} link
    say "building the agent for Windows, and the collector"
    windows_cargo "$1" build --package upheld-agent
    cargo build --locked --package upheld-collector -j"$(nproc 2>/dev/null || echo 2)"
    collector=$(cd "$target/debug" && pwd)/upheld-collector
    agent=$(cd "$target/windows/$windows_target/debug" && pwd)/upheld-agent.exe
    work=$(cd "$target/windows" && pwd)/smoke
    pids=()
    trap windows_end EXIT
    windows_wine "$(cd "$target/windows" && pwd)/wine"
    rm -rf "$work"
    mkdir -p "$work"
    windows_stays_on
    # What a run that was cut short has left.
    agent service uninstall > "$work/before.txt" 2>&1 || true
    rm -rf "$WINEPREFIX/drive_c/ProgramData/Upheld" "$WINEPREFIX/drive_c/Program Files/Upheld"
    windows_collector

    shown 0 '^upheld-agent [0-9]' agent --version
    shown 10 'this host is not enrolled' agent status
    link=$(windows_link)
    shown 78 'a .bat or .cmd is not run' agent enroll "$link" --allow "Z:$work/script.toml"
    shown 0 'Enrolled as' agent enroll "$link" --allow "Z:$work/allow.toml"
    shown 1 'already enrolled' agent enroll "$link"
    shown 0 'srv-1/net.tcp +ok' agent check now
    windows_looked
    shown 1 'no agent runs' agent status

    say '$ upheld-agent.exe run &'
    wine "$agent" run > "$work/run.log" 2>&1 &
    pids+=($!)
    windows_wait 'enrolled, reporting, last accepted' agent status
    windows_wait 'srv-1/net.tcp +ok' agent status
    windows_wait 'srv-1/net.icmp +ok' agent status
    windows_wait 'srv-1/net.link +ok' agent status
    windows_wait 'srv-1/net.path +(ok|warn|bad|unknown)' agent status
    windows_wait 'srv-1/raid +ok' agent status
    windows_wait 'srv-1/autostart +(ok|warn|bad)' agent status
    # Wine has no event log.
    windows_wait 'srv-1/eventlog +unknown .*cannot probe' agent status
    windows_wait 'srv-1/power.boot +unknown .*cannot probe' agent status
    shown 11 'an agent already runs' agent run
    shown 0 'MiB free' agent doctor
    windows_reports
    kill "${pids[-1]}"
    wait "${pids[-1]}" || true

    shown 69 'no service of this host' agent service status
    shown 0 'UpheldAgent is a service' agent service install
    shown 0 '^active: process' agent service status
    windows_wait 'enrolled, reporting, last accepted' agent status
    shown 0 'starts with this host' agent service install
    shown 0 'is stopped' agent service stop
    shown 1 '^inactive' agent service status
    shown 1 'no agent runs' agent status
    shown 0 'the service runs' agent service start
    windows_wait 'enrolled, reporting, last accepted' agent status
    windows_reports
    shown 0 'no service any more' agent service uninstall
    shown 0 'nothing was changed' agent service uninstall
    shown 69 'no service of this host' agent service start

    say '$ type C:\ProgramData\Upheld\agent.log'
    sed 's/^/    /' "$WINEPREFIX/drive_c/ProgramData/Upheld/agent.log"
    grep -q 'The agent stops. reason="service stopped"' "$WINEPREFIX/drive_c/ProgramData/Upheld/agent.log" \
        || windows_failed "the service said nothing when it was stopped"
    if grep -E '(^| )ERROR ' "$work"/*.log "$WINEPREFIX/drive_c/ProgramData/Upheld/agent.log"; then
        windows_failed "the lines above are errors"
    fi
    say "the agent works under wine"
}

agent() { wine "$agent" "$@"; }

# shown CODE PATTERN COMMAND...: runs it, prints it with what it said, and holds it to both.
shown() {
    local wanted=$1 pattern=$2 code=0
    shift 2
    say "$ $(windows_words "$@")"
    "$@" > "$work/said.txt" 2>&1 || code=$?
    sed 's/^/    /' "$work/said.txt" >&2
    if [ "$code" != "$wanted" ]; then windows_failed "it ended with $code, not with $wanted"; fi
    grep -qE "$pattern" "$work/said.txt" || windows_failed "it did not say: $pattern"
}

# A command as a person would type it; a link's token is nobody else's business.
windows_words() {
    printf '%s' "$*" | sed -E 's|^agent |upheld-agent.exe |; s|^.*/upheld-collector |upheld-collector |; s|/e/[^# ]*|/e/…|; s| --data [^ ]*||'
}

# What the last `check now` said of the checks that have a half of their own for Windows.
windows_looked() {
    local wanted
    for wanted in 'net\.link +ok .*is up' 'raid +ok .*RAID OK: two words' 'hung .*was ended, with all that it had started' \
        'autostart .*services that start with this host' 'eventlog +unknown .*no event log' 'power\.boot +unknown .*no event log'
    do
        tr '\n' ' ' < "$work/said.txt" | tr -s ' ' | grep -qE "$wanted" || windows_failed "check now did not say: $wanted"
    done
    # Neither the plugin that hung nor what it started outlives its check.
    if wine tasklist 2>/dev/null | grep -i 'plugin\.exe'; then windows_failed "a plugin is left"; fi
}

# windows_wait PATTERN COMMAND...: until it says so, for a minute.
windows_wait() {
    local pattern=$1 began=$SECONDS
    shift
    until "$@" 2>&1 | grep -E "$pattern" > "$work/seen.txt"; do
        if [ $((SECONDS - began)) -gt 60 ]; then
            "$@" || true
            windows_failed "$(windows_words "$@") did not say within a minute: $pattern"
        fi
        sleep 0.5
    done
    say "… $(head -n 1 "$work/seen.txt")"
}

# A wine of this script's own, as the Windows that Rust asks for.
windows_wine() {
    export WINEPREFIX=$1 WINEDEBUG=-all WINEDLLOVERRIDES="mscoree=;mshtml=;winemenubuilder.exe="
    if [ ! -e "$WINEPREFIX/ready" ]; then
        say "making $WINEPREFIX (700 MB)"
        rm -rf "$WINEPREFIX"
        mkdir -p "$WINEPREFIX"
        wine wineboot --init >/dev/null 2>&1
        wine winecfg /v win10 >/dev/null 2>&1
        wineserver --wait
        touch "$WINEPREFIX/ready"
    fi
    local library=$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll
    if [ ! -e "$library" ]; then
        x86_64-w64-mingw32-gcc -shared -O1 -o "$library" tests/windows/prng.c -ladvapi32
    fi
}

# Wine's services end with the last program that somebody started, as at a shutdown: this one waits until the end.
windows_stays_on() {
    mkfifo "$work/never"
    exec 9<> "$work/never"
    wine cmd /q < "$work/never" > /dev/null 2>&1 &
    pids+=($!)
}

# A collector with one client whose server asks for each kind of check that Windows answers, and one that it does not.
windows_collector() {
    local port
    for port in $(shuf -i 20000-40000 -n 20); do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
    done
    windows_book "$work/book" "$port"
    cat > "$work/allow.toml" <<ALLOW
loopback_echo = true
loopback_ports = [$port]
paths = ["C:/windows/system32"]
[commands]
raid = ["Z:$work/plugin.exe", "two words"]
hung = ["Z:$work/plugin.exe", "hang"]
ALLOW
    sed 's|plugin\.exe|plugin.bat|' "$work/allow.toml" > "$work/script.toml"
    x86_64-w64-mingw32-gcc -O1 -o "$work/plugin.exe" tests/windows/plugin.c
    export UPHELD_DATA=$work/data
    "$collector" init --listen "127.0.0.1:$port" > "$work/init.txt"
    "$collector" book apply "$work/book" > "$work/apply.txt"
    "$collector" serve > "$work/collector.log" 2>&1 &
    pids+=($!)
    local began=$SECONDS
    until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
        if [ $((SECONDS - began)) -gt 30 ]; then cat "$work/collector.log"; windows_failed "the collector does not serve"; fi
        sleep 0.2
    done
}

windows_book() {
    mkdir -p "$1/calendars" "$1/plans" "$1/clients/northgate/sites"
    cat > "$1/provider.toml" <<'BOOK'
name = "Test provider"
currency = "USD"
time_zone = "America/Chicago"
BOOK
    cat > "$1/calendars/24x7.toml" <<'BOOK'
time_zone = "America/Chicago"
[weekly]
every-day = ["00:00-24:00"]
BOOK
    cat > "$1/plans/round-the-clock.toml" <<'BOOK'
name = "Round the clock"
[priority]
high   = { high = "P1", medium = "P2", low = "P3" }
medium = { high = "P2", medium = "P3", low = "P4" }
low    = { high = "P3", medium = "P4", low = "P5" }
[[target]]
stage = "respond"
within = "1h"
calendar = "24x7"
manner = ["remote", "phone"]
BOOK
    cat > "$1/catalogue.toml" <<'BOOK'
[[issue]]
id = "ANY"
name = "Anything"
category = "hardware"
match = {}
urgency = "medium"
BOOK
    echo 'name = "Northgate Foods"' > "$1/clients/northgate/client.toml"
    cat > "$1/clients/northgate/ssa.toml" <<'BOOK'
number = "SSA-T-1"
sites = ["plant-2"]
fee = "100.00/month"
[[version]]
effective_from = 2026-01-01
plan = "round-the-clock"
BOOK
    cat > "$1/clients/northgate/sites/plant-2.toml" <<BOOK
name = "Plant 2"
time_zone = "America/Chicago"
commissioned = 2026-01-15
[[asset]]
id = "srv-1"
class = "server"
checks = [
  { kind = "host", every = "2s" },
  { kind = "net.icmp", target = "127.0.0.1", every = "2s" },
  { kind = "net.tcp", target = "127.0.0.1", port = $2, every = "2s" },
  { kind = "net.link", every = "5s" },
  { kind = "net.path", every = "5s" },
  { kind = "power.boot", every = "5s" },
  { kind = "eventlog", channel = "System", ids = [41], every = "5s" },
  { kind = "service", name = "autostart", every = "5s" },
  { kind = "exec.nagios", name = "raid", command = "raid", every = "10s" },
  { kind = "exec.nagios", name = "hung", command = "hung", every = "60s", timeout = "3s" },
  { kind = "rec.freshness", path = "C:/windows/system32", age_max = "365d", every = "5s" },
]
BOOK
}

windows_link() {
    "$collector" agent token --client northgate --site plant-2 --json 2>"$work/token.txt" | grep -oE '"link": ?"[^"]*"' | cut -d'"' -f4
}

# The collector has what the agent sent.
windows_reports() {
    shown 0 'northgate' "$collector" agent list
}

windows_failed() {
    say "Error: $1"
    exit 1
}

windows_end() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    # Ends what wine has started in this folder, and nothing else.
    if [ -n "${WINEPREFIX:-}" ]; then wineserver --kill 2>/dev/null || true; fi
}
