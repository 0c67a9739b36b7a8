#!/bin/sh
# Installs the ticklane daemon as a systemd service, or brings an installation up to date; safe to repeat.
#
#   sudo deploy/install.sh                install or upgrade; a running daemon is stopped meanwhile
#   sudo deploy/install.sh --uninstall    remove program and service; configuration and data stay
#
#   --root DIR      put everything below DIR: for packaging and tests, no user is made, systemd is left alone
#   --files-only    everything but the Python environment
#
# PYTHON=/usr/bin/python3.12 chooses the interpreter.
set -eu

checkout=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
root=''
uninstall=no
files_only=no

say() { echo "==> $*"; }
die() {
    echo "$*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
        --root)
            [ $# -gt 1 ] || die "--root needs a directory: install.sh --root DIR."
            mkdir -p -- "$2"
            root=$(CDPATH='' cd -- "$2" && pwd)
            shift
            ;;
        --uninstall) uninstall=yes ;;
        --files-only) files_only=yes ;;
        *) die "install.sh does not know '$1': use --uninstall, --root DIR or --files-only." ;;
    esac
    shift
done

[ -n "$root" ] || [ "$(id -u)" = 0 ] || die "install.sh must run as root: sudo deploy/install.sh."

app=$root/opt/ticklane
config=$root/etc/ticklane
state=$root/var/lib/ticklane
unit=$root/etc/systemd/system/ticklane.service
command=$root/usr/local/bin/ticklane

copy=''
was_active=no

# systemd runs as PID 1 and this is the real root.
systemd_is_running() { [ -z "$root" ] && [ -d /run/systemd/system ]; }

# A daemon must not find its modules changed under its feet, nor stay away because a download failed.
stop_daemon() {
    if systemd_is_running && systemctl is-active --quiet ticklane.service; then
        say "Stopping the daemon for the upgrade"
        was_active=yes
        systemctl stop ticklane.service
    fi
}

leave() {
    [ -z "$copy" ] || rm -rf "$copy"
    if [ "$was_active" = yes ]; then
        say "Starting the daemon again"
        systemctl start ticklane.service
    fi
}
trap leave EXIT

make_user() {
    if [ -n "$root" ]; then
        say "Skipped the user ticklane: --root"
    elif ! id -u ticklane >/dev/null 2>&1; then
        say "Making the user ticklane"
        useradd --system --user-group --home-dir /var/lib/ticklane --no-create-home --shell /usr/sbin/nologin ticklane
    fi
}

make_directories() {
    say "Making $app, $config and $state"
    install -d -m 0755 "$app" "$config" "$(dirname "$unit")" "$(dirname "$command")"
    install -d -m 0700 "$config/credentials" "$state"
    [ -n "$root" ] || chown ticklane:ticklane "$state"
}

# What an operator wrote is never overwritten.
make_configuration() {
    if [ ! -e "$config/ticklane.toml" ]; then
        say "Writing $config/ticklane.toml"
        install -m 0644 "$checkout/deploy/ticklane.toml" "$config/ticklane.toml"
    fi
    if [ ! -e "$config/ticklane.env" ]; then
        say "Writing $config/ticklane.env (empty, only root may read it)"
        install -m 0600 /dev/null "$config/ticklane.env"
    fi
}

install_program() {
    if [ "$files_only" = yes ]; then
        say "Skipped the Python environment: --files-only"
        return
    fi
    say "Installing the libraries of requirements.lock into $app/venv"
    umask 022
    sh "$checkout/deploy/venv.sh" create "$app/venv" --system
    sh "$checkout/deploy/venv.sh" install "$app/venv" --require-hashes -r "$checkout/requirements.lock"
    say "Installing ticklane from $checkout"
    # Built from a copy: a build leaves its rests beside the sources.
    copy=$(mktemp -d)
    mkdir "$copy/backend"
    cp "$checkout/pyproject.toml" "$checkout/README.md" "$checkout/LICENSE" "$copy/"
    cp -R "$checkout/backend/ticklane" "$copy/backend/"
    find "$copy" -name __pycache__ -type d -prune -exec rm -rf {} +
    sh "$checkout/deploy/venv.sh" install "$app/venv" --force-reinstall --no-deps --no-build-isolation "$copy"
    ln -sfn /opt/ticklane/venv/bin/ticklane "$command"
}

install_unit() {
    say "Installing $unit"
    install -m 0644 "$checkout/deploy/ticklane.service" "$unit"
    install -m 0644 "$checkout/README.md" "$checkout/LICENSE" "$app/"
    if systemd_is_running; then
        systemctl daemon-reload
        systemctl enable --quiet ticklane.service
        [ "$was_active" = yes ] || say "Enabled: start it with systemctl start ticklane"
    else
        say "Skipped systemctl daemon-reload and enable: systemd does not run here"
    fi
}

remove() {
    if systemd_is_running && [ -e "$unit" ]; then
        say "Stopping the service"
        systemctl disable --quiet --now ticklane.service
    fi
    say "Removing $app, $unit and $command"
    rm -rf "$app"
    rm -f "$unit" "$command"
    if systemd_is_running; then
        systemctl daemon-reload
    fi
    say "Kept $config, $state and the user ticklane: remove them by hand when nothing in them is needed"
}

if [ "$uninstall" = yes ]; then
    remove
else
    make_user
    make_directories
    make_configuration
    stop_daemon
    install_program
    install_unit
fi
