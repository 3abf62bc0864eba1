# Sourced by demo, test and .ci/run: finds Python, makes .venv and installs nii into it.
#
#   NII_PYTHON=/path/to/python   use this interpreter instead of looking for one
#   NII_VENV=/path/to/venv       use this environment as it is: nothing is made or installed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUTF8=1 NO_ALBUMENTATIONS_UPDATE=1 NO_MKDOCS_2_WARNING=1
venv="${NII_VENV:-$PWD/.venv}"

say() { printf '\n── %s\n' "$*"; }

die() {
    printf '\n' >&2
    printf '%s\n' "$@" >&2
    exit 1
}

# A name on the PATH may be a shim that runs nothing, so each candidate is tried.
fits() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${NII_PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
        if command -v "$candidate" >/dev/null && fits "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    local tried="${NII_PYTHON:-python3}" found
    found="$("$tried" --version 2>/dev/null || echo nothing that runs)"
    die "nii needs Python 3.11 or newer with its venv module; $tried is: $found." \
        "On Debian or Ubuntu: sudo apt-get install python3 python3-venv" \
        "If a fitting Python is elsewhere: NII_PYTHON=/path/to/python $0"
}

# require_room EXTRAS: before anything is installed; PyTorch comes with its GPU libraries, and pip unpacks before it installs.
require_room() {
    local needed=2 free
    case ",$1," in *,train,*) needed=10 ;; esac
    free="$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')"
    if [ -n "$free" ] && [ "$free" -lt "$needed" ]; then
        die "Not enough room on the disk that holds $PWD: $free GB are free, $needed GB are needed" \
            "for nii${1:+ with $1}. Free some, or put this folder on another disk."
    fi
}

# make_environment [EXTRAS]: fast when nothing has changed since the last time.
make_environment() {
    local extras="${1:-}" target python stamp
    if [ -z "${NII_VENV:-}" ]; then
        if ! "$venv/bin/python" -c '' 2>/dev/null; then
            python="$(find_python)"
            say "making $venv with $("$python" --version)"
            "$python" -m venv --clear "$venv"
        fi
        target="$PWD${extras:+[$extras]}"
        stamp="$venv/nii-installed.txt"
        if [ "$(cat "$stamp" 2>/dev/null)" != "$(facts "$target")" ]; then
            [ -d "$(echo "$venv"/lib/python*/site-packages/torch)" ] || require_room "$extras"
            say "installing nii${extras:+ with $extras}; the first time this takes a few minutes"
            "$venv/bin/python" -m pip install -qq --constraint constraints.txt --editable "$target"
            facts "$target" >"$stamp"
        fi
    fi
    export PATH="$venv/bin:$PATH"
}

facts() { printf '%s\n' "$1" && cksum pyproject.toml constraints.txt; }
