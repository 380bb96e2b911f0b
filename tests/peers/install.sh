# Sourced by tests/run: which programs the tests talk to, and how each is had.
#
# A peer that runs from a folder is unpacked from Debian's package into target/peers (no root needed). One that must
# be installed system-wide is installed with CI=true or --install, and listed with its command otherwise.

# program | package | further packages it needs beside itself
peers_local() {
    cat <<'LIST'
strace|strace|libunwind8
faketime|faketime|libfaketime
nginx|nginx|libpcre2-8-0
nft|nftables|libnftables1 libedit2 libbsd0 libmd0 libgmp10 libjansson4 libmnl0 libnftnl11 libxtables12
openssl|openssl|libssl3
shellcheck|shellcheck|libffi8 libgmp10
upsd|nut-server|libwrap0 libnsl2 libtirpc3 libnss3 libnspr4 libupsclient6
dummy-ups|nut-server|libnss3 libnspr4 libupsclient6
upsc|nut-client|libnss3 libnspr4 libupsclient6
apcupsd|apcupsd|libusb-0.1-4 libwrap0 libnsl2 libtirpc3
snmpd|snmpd|libsnmp40 libpci3 libperl5.36 libsensors5 libwrap0 libnsl2 libtirpc3
snmpget|snmp|libsnmp40
dnsmasq|dnsmasq-base|libnetfilter-conntrack3 libnfnetlink0 libnftables1 libedit2 libbsd0 libmd0 libgmp10 libjansson4 libmnl0 libnftnl11 libxtables12
chronyd|chrony|libedit2 libbsd0 libmd0
check_load|monitoring-plugins-basic|
smartctl|smartmontools|
LIST
}

# Modules of Debian's Python, unpacked beside each other: module | packages
peers_python() {
    cat <<'LIST'
aiosmtpd|python3-aiosmtpd python3-attr python3-public python3-pkg-resources
LIST
}

# What only the benches stand beside.
peers_benches() {
    cat <<'LIST'
monit|monit|
collectd|collectd-core|liboping0 libcurl3-gnutls
zabbix_agentd|zabbix-agent|libmodbus5 libpcre2-8-0
fping|fping|
prometheus-blackbox-exporter|prometheus-blackbox-exporter|
LIST
}

# What the benches call as a library: kind | package with its version, or Debian's packages
peers_libraries() {
    cat <<'LIST'
python|businesstimedelta==1.0.1
perl|libbusiness-hours-perl libset-intspan-perl
LIST
}

# program | package
peers_system() {
    cat <<'LIST'
/usr/bin/python3|python3
ip|iproute2
curl|curl
unshare|util-linux
nsenter|util-linux
setpriv|util-linux
mount|mount
mmdebstrap|mmdebstrap
systemd-analyze|systemd
mkfs.ext4|e2fsprogs
/usr/lib/postgresql/15/bin/postgres|postgresql-15
chromium|chromium
node|nodejs
npm|npm
LIST
}

peers_daemons_stay_off() {
    # A package that is installed must not start its daemon on this machine.
    if [ ! -e /usr/sbin/policy-rc.d ] && [ -w /usr/sbin ]; then
        printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
    fi
}

peers_update_once() {
    if [ -z "${peers_updated:-}" ]; then
        if [ "$(id -u)" = 0 ]; then apt-get update -qq >&2 || say "apt-get update failed; trying with the lists at hand"; fi
        peers_updated=yes
    fi
}

# Unpacks packages into $1/root and writes a starter $1/bin/PROGRAM that finds its libraries there.
peers_unpack() {
    local peers=$1 program=$2 package
    shift 2
    mkdir -p "$peers/debs" "$peers/root" "$peers/bin"
    for package in "$@"; do
        if ! ls "$peers/debs/${package}"_*.deb >/dev/null 2>&1; then
            (cd "$peers/debs" && apt-get download -qq "$package" >&2) || return 1
        fi
        dpkg -x "$peers/debs/${package}"_*.deb "$peers/root" || return 1
    done
    local found
    # NUT's own folder first: its /sbin/upsd only starts what /etc/nut names.
    found=$(find "$peers/root" -type f -path "*/lib/nut/$program")
    [ -n "$found" ] || found=$(find "$peers/root" -type f -path "*/lib/nagios/plugins/$program")
    [ -n "$found" ] || found=$(find "$peers/root" -type f \( -path "*/bin/$program" -o -path "*/sbin/$program" \) | head -n 1)
    [ -n "$found" ] || return 1
    local root
    root=$(cd "$peers/root" && pwd)
    cat > "$peers/bin/$program" <<STARTER
#!/bin/sh
export LD_LIBRARY_PATH="$root/usr/lib/$(uname -m)-linux-gnu:$root/lib/$(uname -m)-linux-gnu\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
exec "$(cd "$(dirname "$found")" && pwd)/$program" "\$@"
STARTER
    chmod 755 "$peers/bin/$program"
}

# peers_unpack_module FOLDER MODULE PACKAGE...
peers_unpack_module() {
    local peers=$1 module=$2 package
    shift 2
    mkdir -p "$peers/debs" "$peers/root"
    for package in "$@"; do
        if ! ls "$peers/debs/${package}"_*.deb >/dev/null 2>&1; then
            (cd "$peers/debs" && apt-get download -qq "$package" >&2) || return 1
        fi
        dpkg -x "$peers/debs/${package}"_*.deb "$peers/root" || return 1
    done
    [ -d "$peers/root/usr/lib/python3/dist-packages/$module" ]
}

# peers_library FOLDER KIND PACKAGE...: unpacks into $1/python and $1/root/usr/share/perl5.
peers_library() {
    local peers=$1 kind=$2 package
    shift 2
    case $kind in
        python)
            if ls -d "$peers/python/${1%%==*}"-*.dist-info >/dev/null 2>&1; then return 0; fi
            say "peer ${1%%==*}: installing $1 into $peers/python"
            python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
                --target "$peers/python" "$@" >&2 ;;
        perl)
            mkdir -p "$peers/debs" "$peers/root"
            for package in "$@"; do
                if ls "$peers/debs/${package}"_*.deb >/dev/null 2>&1; then continue; fi
                say "peer $package: unpacking it into $peers"
                peers_update_once
                (cd "$peers/debs" && apt-get download -qq "$package" >&2) || return 1
                dpkg -x "$peers/debs/${package}"_*.deb "$peers/root" || return 1
            done ;;
    esac
}

# peers_browser FOLDER: what drives Chromium and what judges its pages, as tests/browser's lock file pins them.
peers_browser() {
    local folder=$1/browser
    if cmp -s tests/browser/package-lock.json "$folder/installed.json"; then return 0; fi
    say "peer browser: installing tests/browser/package-lock.json into $folder"
    mkdir -p "$folder"
    cp tests/browser/package.json tests/browser/package-lock.json "$folder/"
    (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --silent >&2) || return 1
    cp "$folder/package-lock.json" "$folder/installed.json"
}

# peers_systemd FOLDER: a Debian tree with systemd in it, which the tests of the packages boot.
peers_systemd() {
    local folder=$1/systemd
    if [ -f "$folder/root.tar" ]; then return 0; fi
    say "peer systemd: a Debian tree into $folder (two minutes)"
    mkdir -p "$folder"
    # Its name must end in .tar: mmdebstrap would make a folder of any other.
    local sources=/etc/apt/sources.list
    if [ -e /etc/apt/sources.list.d/debian.sources ]; then sources=/etc/apt/sources.list.d/debian.sources; fi
    mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,adduser,curl,iproute2 \
        bookworm "$folder/new.tar" "$sources" >&2 && rm -rf "$folder/root.tar" && mv "$folder/new.tar" "$folder/root.tar"
}

# peers_cargo FOLDER: what builds the packages.
peers_cargo() {
    if cargo deb --version >/dev/null 2>&1 || [ -x "$1/cargo/bin/cargo-deb" ]; then return 0; fi
    say "peer cargo-deb: installing it into $1/cargo"
    cargo install --quiet --debug --locked cargo-deb --version '^3' --root "$1/cargo" >&2
}

# peers_install FOLDER INSTALL FRESH
peers_install() {
    local peers=$1 install=$2 fresh=$3 program package more missing=()
    mkdir -p "$peers/bin"
    PATH=$(cd "$peers/bin" && pwd):$PATH:/usr/sbin:/sbin
    export PATH
    while IFS='|' read -r program package more; do
        if ! $fresh && command -v "$program" >/dev/null 2>&1; then continue; fi
        if [ -x "$peers/bin/$program" ]; then continue; fi
        say "peer $program: unpacking $package into $peers"
        peers_update_once
        # shellcheck disable=SC2086
        peers_unpack "$peers" "$program" "$package" $more || missing+=("$package")
    done < <(peers_local; if [ "${with_benches:-false}" = true ]; then peers_benches; fi)
    local module modules
    while IFS='|' read -r module modules; do
        if [ -d "$peers/root/usr/lib/python3/dist-packages/$module" ]; then continue; fi
        if ! $fresh && [ -d "/usr/lib/python3/dist-packages/$module" ]; then continue; fi
        say "peer $module: unpacking $modules into $peers"
        peers_update_once
        # shellcheck disable=SC2086
        peers_unpack_module "$peers" "$module" $modules </dev/null || missing+=("${modules%% *}")
    done < <(peers_python)
    if [ "${with_benches:-false}" = true ]; then
        local kind packages
        while IFS='|' read -r kind packages; do
            # shellcheck disable=SC2086
            if ! peers_library "$peers" "$kind" $packages </dev/null; then
                case $kind in python) missing+=(python3-pip) ;; *) missing+=($packages) ;; esac
            fi
        done < <(peers_libraries)
    fi
    while IFS='|' read -r program package; do
        if ! $fresh && command -v "$program" >/dev/null 2>&1; then continue; fi
        if [ "$install" = true ]; then
            say "peer $program: installing $package"
            peers_daemons_stay_off
            peers_update_once
            local again=()
            if $fresh; then again=(--reinstall); fi
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${again[@]}" "$package" >&2 \
                || missing+=("$package")
        elif ! command -v "$program" >/dev/null 2>&1 || $fresh; then
            missing+=("$package")
        fi
    done < <(peers_system)
    if [ ${#missing[@]} -gt 0 ]; then
        say "Error: the tests need programs that are not on this machine."
        local packages
        packages=$(printf '%s\n' "${missing[@]}" | sort -u | paste -sd' ' -)
        say "  Install them with: apt-get install --no-install-recommends $packages"
        say "  or let this script do it: tests/run --install"
        exit 69
    fi
    if ! peers_browser "$peers"; then
        say "Error: npm could not install tests/browser/package-lock.json into $peers/browser; its words are above."
        exit 69
    fi
    if ! peers_cargo "$peers"; then
        say "Error: cargo-deb could not be installed; its words are above."
        say "  Install it with: cargo install --locked cargo-deb --version '^3'"
        exit 69
    fi
    if ! peers_systemd "$peers"; then
        say "Error: mmdebstrap could not make $peers/systemd/root.tar; its words are above. It needs root, or user namespaces."
        exit 69
    fi
}
