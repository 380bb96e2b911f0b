#!/bin/sh
# Installs the Upheld agent on this host and enrols it. Served by your provider's collector; what it installs must be
# signed by the release key that stands in the line you pasted:
#
#   curl … https://COLLECTOR/install.sh | sudo sh -s -- 'LINK' 'RELEASE KEY' 'PIN'
#
# LINK enrols this host, once. RELEASE KEY is the Ed25519 key of whoever builds the packages, 44 characters. PIN is the
# key of the collector's portal, as curl takes it: sha256//…
#
# Everything is in one function that the last line calls: a transfer that is cut short runs nothing.
set -eu

say() { printf '%s\n' "$*"; }

die() {
    code=$1
    printf 'Error: %s\n' "$2" >&2
    shift 2
    for line in "$@"; do printf '  %s\n' "$line" >&2; done
    exit "$code"
}

need() {
    command -v "$1" >/dev/null 2>&1 && return 0
    die 69 "$1 is not on this host, and without it nothing can be checked" "apt-get install $2, then paste the line again"
}

# The agent's package, checked against the release key, into $1.
fetch() {
    folder=$1 base=$2 key=$3 pin=$4
    arch=$(dpkg --print-architecture)
    for part in manifest sig deb; do
        curl -fsSk --proto '=https' --max-redirs 0 --max-time 600 --pinnedpubkey "$pin" \
            -o "$folder/$part" "$base/install/upheld-agent_$arch.$part" \
            || die 13 "the collector gave no $part of the agent's package for $arch" \
                "the provider adds one: upheld-collector package add upheld-agent_VERSION_$arch.deb" \
                "or install the agent's package by hand: dpkg -i upheld-agent_*.deb; upheld-agent enroll 'LINK'"
    done
    # An Ed25519 key as openssl reads it: twelve bytes that are the same for each, then its own thirty-two.
    printf -- '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA%s\n-----END PUBLIC KEY-----\n' "$key" > "$folder/key.pem"
    openssl base64 -d -A -in "$folder/sig" -out "$folder/sig.raw" 2>/dev/null \
        || die 1 "the signature of the package cannot be read" "nothing was installed; tell your provider"
    openssl pkeyutl -verify -pubin -inkey "$folder/key.pem" -rawin -in "$folder/manifest" \
        -sigfile "$folder/sig.raw" >/dev/null 2>&1 \
        || die 1 "the package is not signed by the release key $key" "nothing was installed; tell your provider"
    grep -qx "upheld-package/1 upheld-agent $arch [0-9A-Za-z.+~:-]*" "$folder/manifest" \
        || die 1 "what is signed is no package of the agent for $arch" "nothing was installed; tell your provider"
    said=$(sed -n 's/^sha256 \([0-9a-f]\{64\}\)$/\1/p' "$folder/manifest")
    is=$(sha256sum "$folder/deb" | cut -d ' ' -f 1)
    [ "$said" = "$is" ] \
        || die 1 "the package is not the one that was signed: its SHA-256 is $is, signed is ${said:-nothing}" \
            "nothing was installed; tell your provider"
}

# Waits until the service has reported, half a minute at most, then says how this host is.
report() {
    if [ -d /run/systemd/system ]; then
        tries=0
        while [ "$tries" -lt 60 ]; do
            upheld-agent status --json 2>/dev/null | grep -q '"standing":{"is":"good"}' && break
            tries=$((tries + 1))
            sleep 0.5
        done
        upheld-agent doctor
    else
        say "No systemd runs here: start the agent with 'upheld-agent run'."
    fi
}

main() {
    link=${1:-} key=${2:-} pin=${3:-}
    [ "$(id -u)" = 0 ] || die 1 "only root may install the agent" "paste the line with sudo, as it was given"
    case $link in
        https://*/e/*'#'*) ;;
        *) die 2 "the enrolment link is missing" "paste the whole line, with the link in single quotes" ;;
    esac
    if [ -e /var/lib/upheld/identity.json ]; then
        say "This host is an agent already; nothing was changed. How it is: upheld-agent status"
        return 0
    fi
    if command -v upheld-agent >/dev/null 2>&1; then
        say "The agent is installed already: $(upheld-agent --version)"
    else
        command -v dpkg >/dev/null 2>&1 \
            || die 69 "this system is not Debian or one of its kin (no dpkg), and no other package is built" \
                "watch it from a host that is: checks reach over the network"
        need curl curl
        need openssl openssl
        need sha256sum coreutils
        case $key in
            '') die 69 "the line names no release key, so no package can be checked" \
                "the provider sets it: upheld-collector package key FILE; then paste the new line" ;;
            *[!A-Za-z0-9+/=]*) die 2 "the release key is none" "paste the whole line" ;;
        esac
        case $pin in
            sha256//*) ;;
            *) die 2 "the collector's pin is missing" "paste the whole line" ;;
        esac
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        fetch "$work" "${link%%/e/*}" "$key" "$pin"
        mv "$work/deb" "$work/upheld-agent.deb"
        say "Installing $(sed -n '1s/^upheld-package\/1 //p' "$work/manifest"), signed by $key"
        dpkg -i "$work/upheld-agent.deb" || die 1 "dpkg could not install the package; its words are above" \
            "apt-get -f install, then paste the line again"
    fi
    upheld-agent enroll "$link"
    report
}

main "$@" </dev/null
