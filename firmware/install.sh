#!/usr/bin/env bash
# Installs what `make demo` or `make test` needs on Debian 12, Debian 13 or Raspberry Pi OS, and nothing else:
# Debian packages by name, a virtual environment, and Callbox inside it, editable. Where all is there it takes a moment.
#
#   firmware/install.sh [demo|test|machine|deb]
#   PYTHON=python3.12   the Python to take, 3.11 to 3.13; without it the first that fits
#   VENV=.venv          the folder of the virtual environment
#
# Every need is looked for by what is used (a header, a library, a program), not by package name, so it also works
# where no apt exists and the parts came some other way.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

purpose=${1:-demo}
venv=${VENV:-.venv}
case $purpose in
    demo) extra=testing ;;
    test | machine) extra=dev ;;
    deb) extra= ;;
    *) echo "usage: firmware/install.sh [demo|test|machine|deb]" >&2; exit 2 ;;
esac

say() { printf 'callbox: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

# ---- Python

# Prints the base interpreter itself: a pyenv shim changes its mind with the folder, and the python3 of an activated
# environment may live in the very folder that is made anew.
readonly WHICH_PYTHON='
import os, sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13): sys.exit(1)
base = os.path.join(sys.base_prefix, "bin", "python%d.%d" % sys.version_info[:2])
print(base if os.access(base, os.X_OK) else sys.executable)'

find_python() {
    local candidate candidates=(python3 python3.13 python3.12 python3.11)
    if [[ -n ${PYTHON:-} ]]; then
        candidates=("${PYTHON/#\~\//$HOME/}")
    elif [[ -x $venv/bin/python ]]; then
        candidates=("$venv/bin/python" "${candidates[@]}")
    fi
    for candidate in "${candidates[@]}"; do
        "$candidate" -c "$WHICH_PYTHON" 2>/dev/null && return
    done
    return 1
}

# ---- Debian packages

packages=()
reasons=()
lack() { packages+=("$1"); reasons+=("$2"); }

has_program() { PATH="$venv/bin:$PATH" command -v "$1" >/dev/null 2>&1; }
has_library() { "$python" -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$1" 2>/dev/null; }
has_header() { gcc -E -o /dev/null - <<<"#include <$1>" 2>/dev/null; }
has_file() { compgen -G "$1" >/dev/null; }

look_for_python() {
    python=$(find_python) && return
    [[ -z ${PYTHON:-} ]] || fail "PYTHON=$PYTHON is not a Python 3.11, 3.12 or 3.13 that runs ($("$PYTHON" -V 2>&1 | head -n 1))."
    python=python3
    lack python3 "Callbox runs on Python 3.11 to 3.13"
    install_packages
    python=$(find_python) || fail "this system's Python is too old: Callbox runs on Python 3.11 to 3.13 (PYTHON=... names one)."
}

# Debian splits its own Python up; any other comes whole or not at all, and then apt cannot help.
look_for_python_parts() {
    local name=${python##*/} whole=true headers
    [[ $python == /usr/bin/* ]] && whole=false
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        $whole && fail "$python lacks the module venv or ensurepip: choose another with PYTHON=python3.12"
        lack "$name-venv" "a virtual environment keeps its packages apart from the system's"
    fi
    headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    if [[ ! -e $headers/Python.h ]]; then
        $whole && fail "$python lacks its header $headers/Python.h: choose another with PYTHON=python3.12"
        lack "$name-dev" "PyAudio is built on this machine"
    fi
}

look_for_build_tools() {
    has_program gcc || lack gcc "PyAudio is built on this machine"
    has_header stdio.h || lack libc6-dev "PyAudio is built on this machine"
    has_header portaudio.h || lack portaudio19-dev "sound in and out"
    # lgpio has no wheel for Python 3.13. setup.cfg says where it is wanted: on boards, and everywhere for the tests.
    if [[ $("$python" -V) == *" 3.13"* && ($extra == dev || $(uname -m) != x86_64) ]]; then
        has_program swig || lack swig "lgpio, for dimmed lights, is built on this machine"
    fi
}

look_for_sound() {
    has_library libopus.so.0 || lack libopus0 "the voice codec"
    has_library libspeexdsp.so.1 || lack libspeexdsp1 "takes echo and noise out of the microphone"
    has_library libportaudio.so.2 || lack libportaudio2 "sound in and out"
    has_file '/usr/lib*/alsa-lib/libasound_module_pcm_pulse.so' ||
        has_file '/usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so' ||
        lack libasound2-plugins "lets PortAudio see the virtual sound cards of demo and tests"
    has_program pactl || lack pulseaudio-utils "speaks into the virtual sound cards and records them"
    has_program pulseaudio || look_for_pulseaudio
    has_file '/usr/share/pocketsphinx/test/data/librivox/*.wav' ||
        lack pocketsphinx-testdata "a recorded human voice"
    has_program espeak-ng || lack espeak-ng "a spoken voice where no recording is at hand"
}

# A desktop that runs PipeWire would have to give it up for the package pulseaudio. Nobody wants that for a demo, so
# there the daemon is unpacked into the virtual environment, beside its libraries, and never becomes the desktop's own.
unpacks_pulseaudio=false
look_for_pulseaudio() {
    if ! has_program apt-get || ! apt-get -s install --no-install-recommends pulseaudio 2>/dev/null | grep '^Remv' >/dev/null; then
        lack pulseaudio "virtual sound cards, in a daemon of their own"
        return
    fi
    unpacks_pulseaudio=true
    local library
    for library in $(apt-cache depends --no-recommends --no-suggests pulseaudio | sed -n 's/^ *|\?Depends: \(lib.*\)/\1/p'); do
        dpkg-query -W -f '${db:Status-Abbrev}' "$library" 2>/dev/null | grep -q '^ii' ||
            lack "$library" "a library of the sound daemon that is unpacked beside PipeWire"
    done
}

unpack_pulseaudio() {
    say "unpacking PulseAudio into $venv: this desktop's PipeWire stays as it is"
    local there=$PWD/$venv/pulseaudio library modules
    [[ $venv == /* ]] && there=$venv/pulseaudio
    mkdir -p "$there"
    (cd "$there" && run_quietly apt-get download pulseaudio && dpkg-deb -x pulseaudio_*.deb . && rm pulseaudio_*.deb)
    library=$(dirname "$(find "$there" -name 'libpulsecore-*.so')")
    modules=$(dirname "$(find "$there" -name module-null-sink.so)")
    printf '#!/bin/sh\nexport LD_LIBRARY_PATH=%q\nexec %q --dl-search-path=%q "$@"\n' \
        "$library:$modules" "$there/usr/bin/pulseaudio" "$modules" >"$venv/bin/pulseaudio"
    chmod +x "$venv/bin/pulseaudio"
}

look_for_test_tools() {
    [[ $extra == dev ]] || return 0
    has_program systemd-analyze || lack systemd "checks the unit files"
    has_file '/usr/lib/*/faketime/libfaketime.so.1' || lack libfaketime "gives one process another time"
    has_program ss || lack iproute2 "counts the bytes on the wire for make bench"
    has_program shellcheck || lack shellcheck "checks the shell scripts"
}

look_for_machine_tools() {
    [[ $purpose == machine ]] || return 0
    has_program qemu-system-x86_64 || lack qemu-system-x86 "the machine that the stories are told on"
    has_program qemu-img || lack qemu-utils "its disk"
    has_program objcopy || lack binutils "the drivers in its initial ramdisk"
    has_program mmdebstrap || lack mmdebstrap "makes its Debian"
    PATH=/usr/sbin:$PATH has_program mke2fs || lack e2fsprogs "makes its file system"
}

# The package is built in a Debian of its own: nothing of Python's is needed here.
look_for_package_tools() {
    has_program mmdebstrap || lack mmdebstrap "makes the Debian that the package is built in"
    has_program git || lack git "says what belongs to the source"
    [[ $(id -u) == 0 ]] || has_program newuidmap || lack uidmap "builds without root"
}

run_quietly() {
    local log
    log=$(mktemp)
    if "$@" >"$log" 2>&1 </dev/null; then
        rm "$log"
        return
    fi
    tail -n 25 "$log" >&2
    rm "$log"
    return 1
}

install_packages() {
    local i as_root=() apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120)
    ((${#packages[@]})) || return 0
    say "missing on this machine:"
    for i in "${!packages[@]}"; do
        printf '    %-24s %s\n' "${packages[i]}" "${reasons[i]}" >&2
    done
    local by_hand="apt-get install --no-install-recommends ${packages[*]}"
    has_program apt-get || fail "install these, or what they are called here, then try again (Debian: sudo $by_hand)."
    if [[ $(id -u) != 0 ]]; then
        if has_program sudo && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; then
            as_root=(sudo)
            sudo -v || fail "sudo was refused. Have this done by root, then try again: $by_hand"
        else
            fail "no way to become root here. Have this done by root, then try again: $by_hand"
        fi
    fi
    say "installing them with apt-get (a minute or two)"
    run_quietly "${as_root[@]}" "${apt[@]}" update || say "the package lists could not all be renewed; trying with these"
    # --no-remove: whatever this machine is for comes first.
    run_quietly "${as_root[@]}" "${apt[@]}" install --no-install-recommends --no-remove "${packages[@]}" ||
        fail "apt-get failed. Try it by hand, then again here: sudo $by_hand"
    packages=()
    reasons=()
}

# ---- the virtual environment

make_environment() {
    local base
    base="$python $("$python" -V) in $PWD"
    [[ $(cat "$venv/callbox-base" 2>/dev/null) == "$base" ]] && return
    if [[ -e $venv && ! -e $venv/pyvenv.cfg && -n $(ls -A "$venv") ]]; then
        fail "$venv is there and is no virtual environment: name another with VENV=..., or move it away."
    fi
    say "making a virtual environment in $venv with $("$python" -V)"
    "$python" -m venv --clear "$venv"
    echo "$base" >"$venv/callbox-base"
}

# Tells when to install again: the declared dependencies, the Python, this script or the place have changed.
state() { { echo "$python" "$PWD"; "$python" -V; cat setup.cfg pyproject.toml firmware/install.sh; } | sha256sum; }

# The environment for tests holds all that the demo needs.
is_installed() {
    local now stamp stamps=("$venv/callbox-installed-dev")
    now=$(state)
    [[ $extra == dev ]] || stamps+=("$venv/callbox-installed-$extra")
    for stamp in "${stamps[@]}"; do
        [[ $(cat "$stamp" 2>/dev/null) == "$now" ]] && return
    done
    return 1
}

install_callbox() {
    say "installing Callbox and its Python packages (a minute or two)"
    # Where lgpio is built, PYPI makes its setup.py build the C library in, instead of asking for one to link with.
    # PIP_USE_PEP517 is what every newer pip does; Debian 12's complains at length without it.
    PYPI=1 PIP_USE_PEP517=1 "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[$extra]" ||
        fail "pip could not install Callbox's packages; its message is above. Is there a network?"
    state >"$venv/callbox-installed-$extra"
}

if [[ $purpose == deb ]]; then
    look_for_package_tools
    install_packages
    exit
fi
look_for_python
installed=false
if [[ -x $venv/bin/python ]] && is_installed; then installed=true; fi
if ! $installed; then
    look_for_python_parts
    look_for_build_tools
fi
look_for_sound
look_for_test_tools
look_for_machine_tools
install_packages
if ! $installed; then
    make_environment
    install_callbox
fi
if $unpacks_pulseaudio; then unpack_pulseaudio; fi
