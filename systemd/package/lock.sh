#!/usr/bin/env bash
# Renews requirements.txt: every Python package that the Debian packages carry, with version and hashes, for every
# Python and machine that we build for. Needs a network; reads setup.cfg and requirements.in.
#
#   systemd/package/lock.sh [--upgrade | --upgrade-package NAME]      else versions stay while they satisfy
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools"
"$tools/bin/pip" --quiet --disable-pip-version-check install 'uv>=0.9'
# colorzero names setuptools, and uses none of it.
UV_CUSTOM_COMPILE_COMMAND='make lock' "$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 \
    --generate-hashes --no-emit-package setuptools --extra server setup.cfg systemd/package/requirements.in \
    --output-file systemd/package/requirements.txt "$@"
