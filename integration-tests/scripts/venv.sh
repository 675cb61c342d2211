# Sourced by scripts that install something into a virtual environment of Python, OUT/venv:
#
#   venv_begin OUT WANTED PURPOSE   ends the script if OUT has WANTED already; otherwise makes an
#                                   empty environment
#   try COMMAND...                  runs it, quiet unless it fails; then the script ends
#   venv_end                        notes that OUT has WANTED
#
# venv_begin sets `out` to OUT's full path. It installs Python 3 if it is missing: Debian's packages,
# as root. Otherwise it prints what to install for PURPOSE.

try() {
    "$@" </dev/null >"$venv_log" 2>&1 || {
        cat "$venv_log" >&2
        echo "failed: $*" >&2
        exit 1
    }
}

venv_begin() {
    mkdir -p "$1"
    out=$(cd "$1" && pwd)
    venv_wanted=$2
    # One at a time: two programs that need it may start together.
    exec 9>"$out/lock"
    flock 9
    if [[ -d $out/venv && $(cat "$out/installed" 2>/dev/null) == "$venv_wanted" ]]; then
        exit 0
    fi
    rm -rf "$out/installed" "$out/venv"

    venv_log=$(mktemp)
    trap 'rm -f "$venv_log"' EXIT
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
            echo "$3; install: python3 python3-venv" >&2
            exit 1
        fi
        echo "installing python3 python3-venv"
        export DEBIAN_FRONTEND=noninteractive
        try apt-get update
        try apt-get install -y --no-install-recommends python3 python3-venv
    fi
    try python3 -m venv "$out/venv"
}

venv_end() {
    printf '%s' "$venv_wanted" >"$out/installed"
}
