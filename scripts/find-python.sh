#!/bin/sh
# Prints a Python with pip on standard output: scripts/find-python.sh WHAT VARIABLE
# Without one, says that WHAT can't be installed, how to get pip, and that VARIABLE names a program of one's own. Exit 1.
set -eu

for candidate in python3 python; do
  if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -m pip --version >/dev/null 2>&1; then
    printf '%s\n' "$candidate"
    exit 0
  fi
done
{
  echo "$1 is not here, and there is no Python with pip to install it with."
  echo "  Debian, Ubuntu: apt-get install python3-pip"
  echo "  or set $2 to one of your own."
} >&2
exit 1
