#!/bin/sh
# Prints the directory of another Node.js release on standard output, from the npm package `node`, installed once
# under .cache/: scripts/setup-node.sh 24
#
# Everything else goes to standard error. Exit 1 with what is missing and how to get it.
set -eu

release=${1:?which Node.js, for example 24}
root=$(cd "$(dirname "$0")/.." && pwd)
target="$root/.cache/node-$release"
binary="$target/node_modules/node/bin/node"

say() { printf '%s\n' "$*" >&2; }

case $release in
  *[!0-9.]* | .* | '') say "node: a release is a number such as 24 or 22.12.0, not \`$release\`"; exit 1 ;;
esac

if ! [ -x "$binary" ] || ! "$binary" --version >/dev/null 2>&1; then
  say "node: installing Node.js $release from the npm package node (once, 100 MB) ..."
  fresh="$target.$$"
  trap 'rm -rf "$fresh"' EXIT INT TERM
  mkdir -p "$fresh"
  if ! npm install --prefix "$fresh" --no-audit --no-fund --no-save --loglevel=error "node@$release" >&2; then
    say "node: npm could not install node@$release. Put a Node.js $release first on the PATH instead."
    exit 1
  fi
  rm -rf "$target"
  mv "$fresh" "$target"
fi
"$binary" --version >&2
dirname "$binary"
