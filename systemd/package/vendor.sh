#!/bin/bash
# Lays the program out: an environment of Python's in FOLDER/opt/callbox, with all the packages of requirements.txt.
# What is fetched is compared with the hashes there before anything of it is used; then nothing is fetched any more.
#
#   vendor.sh ARCHITECTURE FOLDER FETCHED      FETCHED keeps what was fetched, for the list of ingredients
set -euo pipefail
architecture=$1 here=$(dirname "$0") fetched=$3
mkdir -p "$2/opt/callbox" "$fetched"
place=$(realpath "$2")/opt/callbox
python=python$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
packages=$place/lib/$python/site-packages
pip=(python3 -m pip --quiet --disable-pip-version-check)

# No wheels for every Python that we serve: built here.
readonly BUILT='^(lgpio|pyaudio)=='
awk -v built="$BUILT" '/^[^ #]/ { take = $0 ~ built } take' "$here/requirements.txt" >"$fetched/sources.txt"
awk -v built="$BUILT" '/^[^ #]/ { take = $0 !~ built } take' "$here/requirements.txt" >"$fetched/wheels.txt"

case $architecture in
    amd64) machine=x86_64 ;;
    arm64) machine=aarch64 ;;
esac
platforms=()
for glibc in $(seq 17 "$(ldd --version | sed -n '1s/.*\.//p')"); do platforms+=(--platform "manylinux_2_${glibc}_$machine"); done
"${pip[@]}" download --require-hashes --no-deps --only-binary :all: "${platforms[@]}" --platform "manylinux2014_$machine" \
    --dest "$fetched/wheels" -r "$fetched/wheels.txt"
# PYPI makes lgpio's setup.py build its C library in, instead of asking for one to link with.
export PYPI=1 PIP_USE_PEP517=1
"${pip[@]}" download --require-hashes --no-deps --no-binary :all: --no-build-isolation --dest "$fetched/sources" \
    -r "$fetched/sources.txt"

# ---- from here on without the network

multiarch=$(dpkg-architecture --host-arch "$architecture" --query DEB_HOST_MULTIARCH 2>/dev/null)
export CC=$multiarch-gcc LDSHARED="$multiarch-gcc -shared -Wl,-z,relro,-z,now -s"
export CFLAGS="-O2 -g0 -fstack-protector-strong -D_FORTIFY_SOURCE=2 -ffile-prefix-map=/build=. -ffile-prefix-map=/tmp=."
export _PYTHON_HOST_PLATFORM=linux-$machine _PYTHON_SYSCONFIGDATA_NAME=_sysconfigdata__$multiarch
"${pip[@]}" wheel --no-index --no-deps --no-build-isolation --wheel-dir "$fetched/built" "$fetched"/sources/*
"${pip[@]}" wheel --no-index --no-deps --no-build-isolation --wheel-dir "$fetched/built" "$here/../.."

"$python" -m venv --without-pip "$place"
rm -f "$place"/bin/[aA]ctivate* "$place/.gitignore"
rm -rf "$place/include"
sed -i '/^command/d' "$place/pyvenv.cfg"
unset _PYTHON_HOST_PLATFORM _PYTHON_SYSCONFIGDATA_NAME
"${pip[@]}" install --no-index --no-deps --no-compile --only-binary :all: "${platforms[@]}" \
    --platform "manylinux2014_$machine" --platform "linux_$machine" --target "$packages" "$fetched"/wheels/* "$fetched"/built/*
# Programs of the packages and where they were on this machine; what only testers, compilers or type checkers read.
rm -rf "${packages:?}/bin" "$packages"/*/direct_url.json
find "$packages" -depth ! -path "$packages/callbox/*" \( -type d \( -name tests -o -name testing -o -name include \) \
    -o -name '_*_tests.*.so' -o -name '*.pyi' -o -name '*.pxd' -o -name '*.a' \) -exec rm -rf {} +
cat >"$place/bin/callbox" <<'END'
#!/opt/callbox/bin/python3
import sys

from callbox.app.main import main

sys.exit(main())
END
chmod 0755 "$place/bin/callbox"
# Compiled here, as every import counts on a Pi. Found by what is written in it, not by dates: nothing is ever
# compiled again, on a read-only card neither.
"$python" -m compileall -q --invalidation-mode unchecked-hash -s "${place%/opt/callbox}" "$packages"
