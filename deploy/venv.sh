#!/bin/sh
# Makes a Python environment and installs into it; used by the Makefile and by install.sh.
#
#   venv.sh create DIR [--system]   the newest Python from 3.11 on, with or without python3-venv;
#                                   --system takes only one that a service user can reach
#   venv.sh install DIR ARGS...     `pip install ARGS` into DIR, by uv where it is on the PATH
#
# PYTHON=python3.12 chooses the interpreter.
set -eu

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore PIP_USER=0

die() {
    echo "$*" >&2
    exit 1
}

is_suitable() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || return 1
    [ "$2" != --system ] && return 0
    # systemd's ProtectHome and the rights of home directories hide an interpreter that lives there.
    case $("$1" -c 'import os, sys; print(os.path.realpath(sys.base_prefix))') in
        /root/* | /home/* | /run/user/*) return 1 ;;
    esac
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_suitable "$PYTHON" "$1" || die "PYTHON=$PYTHON is not a usable Python 3.11 or newer: name another one."
        echo "$PYTHON"
        return
    fi
    for name in python3.13 python3.12 python3.11 python3; do
        for prefix in '' /usr/local/bin/ /usr/bin/; do
            if is_suitable "$prefix$name" "$1"; then
                echo "$prefix$name"
                return
            fi
        done
    done
    die "ticklane needs Python 3.11 or newer and found $(python3 --version 2>/dev/null || echo none):" \
        "install it (on Debian and Ubuntu: sudo apt-get install -y python3 python3-venv) and try again."
}

create() {
    if [ -x "$1/bin/python" ] && is_suitable "$1/bin/python" "$2"; then
        return
    fi
    python=$(find_python "$2")
    rm -rf "$1"
    if "$python" -m venv "$1" >/dev/null 2>&1; then
        return
    fi
    # Debian splits venv's pip off into python3-venv; the system's own pip can fill an empty environment.
    rm -rf "$1"
    "$python" -m venv --without-pip "$1" >/dev/null 2>&1 ||
        die "$python cannot make a virtual environment at $1: check that the directory can be written" \
            "and that python3-venv is installed (sudo apt-get install -y python3-venv)."
    command -v uv >/dev/null 2>&1 && return
    python3 -m pip --python "$1/bin/python" --version >/dev/null 2>&1 || {
        rm -rf "$1"
        die "$python has neither venv nor pip: run sudo apt-get install -y python3-venv and try again."
    }
}

install() {
    directory=$1
    shift
    if command -v uv >/dev/null 2>&1 &&
        uv pip install --quiet --python "$directory/bin/python" "$@"; then
        return
    fi
    if "$directory/bin/python" -m pip --version >/dev/null 2>&1; then
        "$directory/bin/python" -m pip install -qq "$@"
    else
        python3 -m pip --python "$directory/bin/python" install -qq "$@"
    fi
}

case "${1:-}" in
    create) create "$2" "${3:-}" ;;
    install) shift && install "$@" ;;
    *) die "usage: venv.sh create DIR [--system] | venv.sh install DIR ARGS..." ;;
esac
