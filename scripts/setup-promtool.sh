#!/bin/sh
# Prints the path of promtool on standard output, unpacking it under .cache/ where there is none.
#
#   1. $PROMTOOL_BIN, when set: taken as it is, and an error when it does not run.
#   2. `promtool` on PATH.
#   3. the binary out of Debian's package prometheus. The package is not installed: no service, no root.
#
# Everything else goes to standard error. Exit 1 with the missing component and how to get it.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
target="$root/.cache/promtool/promtool"

say() { printf '%s\n' "$*" >&2; }
runs() { "$1" --version >/dev/null 2>&1; }

if [ -n "${PROMTOOL_BIN:-}" ]; then
  if runs "$PROMTOOL_BIN"; then
    printf '%s\n' "$PROMTOOL_BIN"
    exit 0
  fi
  say "promtool: PROMTOOL_BIN=$PROMTOOL_BIN does not run. Unset it, or name a promtool of your own."
  exit 1
fi

if command -v promtool >/dev/null 2>&1; then
  command -v promtool
  exit 0
fi

if [ -x "$target" ] && runs "$target"; then
  printf '%s\n' "$target"
  exit 0
fi

if command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1; then
  say "promtool: fetching Debian's package prometheus (once, 20 MB) ..."
  fresh=$(mktemp -d)
  trap 'rm -rf "$fresh"' EXIT INT TERM
  chmod 755 "$fresh"
  fetch() { (cd "$fresh" && apt-get download -qq prometheus >/dev/null 2>&1); }
  if ! fetch; then
    # The lists may be old or missing; renewing them takes root.
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root='sudo -n'
    $as_root apt-get update -qq >/dev/null 2>&1 || true
    fetch || true
  fi
  for package in "$fresh"/prometheus_*.deb; do
    [ -f "$package" ] || continue
    mkdir -p "$root/.cache/promtool"
    dpkg-deb --fsys-tarfile "$package" | tar -x -O ./usr/bin/promtool >"$target.$$"
    chmod +x "$target.$$"
    mv "$target.$$" "$target"
  done
fi
if [ -x "$target" ] && runs "$target"; then
  printf '%s\n' "$target"
  exit 0
fi

say "promtool: the tests of alert rules need promtool 2.42 or later, and it is not on the PATH."
say "  Debian, Ubuntu: apt-get install prometheus (it also starts the service), or set PROMTOOL_BIN."
exit 1
