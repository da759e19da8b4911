#!/bin/sh
# Sees to it that redis-server and redis-cli are there for the tests, installing Debian's package where they are not.
# Exit 1 with the missing component and how to get it.
set -eu

say() { printf '%s\n' "$*" >&2; }
there() { command -v redis-server >/dev/null 2>&1 && command -v redis-cli >/dev/null 2>&1; }

there && exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root='sudo -n'; else as_root=none; fi
fi
if [ "$as_root" != none ] && command -v apt-get >/dev/null 2>&1; then
  say "redis: installing Debian's redis-server (once) ..."
  $as_root apt-get update -qq >/dev/null 2>&1 || true
  # The tests start servers of their own; the package's service is not wanted.
  $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq redis-server >/dev/null 2>&1 || true
fi
there && exit 0

say "redis: the tests need redis-server and redis-cli 6.2 or later, and they are not on the PATH."
say "  Debian, Ubuntu: apt-get install redis-server"
exit 1
