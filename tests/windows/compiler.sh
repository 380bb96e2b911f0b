# Sourced by tests/windows/check: a compiler for x86_64-pc-windows-gnu.

windows_target=x86_64-pc-windows-gnu

# windows_programs INSTALL 'PROGRAM|PACKAGES'...: what can only be had system-wide.
windows_programs() {
    local install=$1 program packages missing=()
    shift
    while IFS='|' read -r program packages; do
        if command -v "$program" >/dev/null 2>&1; then continue; fi
        if [ "$install" = true ]; then
            say "installing $packages"
            peers_daemons_stay_off
            peers_update_once
            # shellcheck disable=SC2086
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >&2 || missing+=("$packages")
        else
            missing+=("$packages")
        fi
    done < <(printf '%s\n' "$@")
    if [ ${#missing[@]} -gt 0 ]; then
        say "Error: compiling for Windows needs programs that are not on this machine."
        say "  Install them with: apt-get install --no-install-recommends ${missing[*]}"
        say "  or let this script do it: tests/windows/check --install"
        exit 69
    fi
}

# windows_compiler FOLDER: Debian's rustc-web, its libraries and the source of the standard library, below FOLDER/root.
windows_compiler() {
    local folder=$1
    if [ -e "$folder/compiler.txt" ] && windows_rustc "$folder" --version 2>/dev/null | cmp -s - "$folder/compiler.txt"; then
        return 0
    fi
    say "unpacking Debian's rustc-web into $folder (140 MB to fetch, half a minute)"
    peers_update_once
    local std llvm package deb
    std=$(windows_depends libstd-rust-web-dev 'libstd-rust-web-[0-9.]+')
    llvm=$(windows_depends "$std" 'libllvm[0-9]+')
    if [ -z "$std" ] || [ -z "$llvm" ]; then
        say "Error: this machine's package lists have no libstd-rust-web-dev."
        say "  Get the lists, Debian 12 with its security updates: apt-get update"
        exit 69
    fi
    rm -rf "$folder/root" "$folder/debs" "$folder/compiler.txt"
    mkdir -p "$folder/root" "$folder/debs"
    for package in rustc-web libstd-rust-web-dev "$std" rust-web-src "$llvm"; do
        (cd "$folder/debs" && apt-get download -qq "$package" >&2) || {
            say "Error: $package could not be fetched; apt's words are above."
            exit 69
        }
        for deb in "$folder/debs/${package}"_*.deb; do
            # Of the compiler's own source nothing is needed, and of a library's text neither.
            dpkg --fsys-tarfile "$deb" | tar -x -C "$folder/root" --anchored --no-wildcards-match-slash \
                --exclude='./usr/share/doc' --exclude='./usr/src/*/src' --exclude='./usr/src/*/compiler'
        done
        rm -f "$folder/debs/${package}"_*.deb
    done
    if ! windows_rustc "$folder" --version > "$folder/compiler.new"; then
        say "Error: Debian's rustc-web does not start here; it says why above."
        say "  Its libraries may be missing: apt-get install --no-install-recommends libz3-4 libedit2 libxml2 libffi8"
        exit 69
    fi
    mv "$folder/compiler.new" "$folder/compiler.txt"
}

# The first package of that form on which another depends.
windows_depends() {
    apt-cache depends "$1" 2>/dev/null | grep -oE "Depends: $2\$" | head -n 1 | cut -d' ' -f2
}

windows_rustc() {
    local root=$1/root
    shift
    LD_LIBRARY_PATH="$root/usr/lib/$(uname -m)-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$root/usr/bin/rustc" "$@"
}

# windows_cargo FOLDER VERB...: cargo with that compiler; std is compiled with the rest. What is built is run for
# seconds, so no time goes into making dependencies fast, as the workspace's own profile does.
windows_cargo() {
    local root=$1/root verb=$2
    shift 2
    LD_LIBRARY_PATH="$root/usr/lib/$(uname -m)-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" \
        RUSTC="$root/usr/bin/rustc" RUSTC_BOOTSTRAP=1 CARGO_INCREMENTAL=0 \
        CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/windows" \
        cargo "$verb" --locked -Zbuild-std=std,panic_unwind --target "$windows_target" -j"$(nproc 2>/dev/null || echo 2)" \
        --config 'profile.dev.package."*".opt-level=0' "$@"
}
