#!/bin/sh
# Ends with a clear word when Node.js or npm is missing or too old.
set -eu

wanted=20.3

if ! command -v node >/dev/null 2>&1; then
  echo "node: not found. Portcullis needs Node.js $wanted or later: https://nodejs.org or your system's packages." >&2
  exit 1
fi
if ! node -e 'const [major, minor] = process.versions.node.split("."); process.exit(Number(major) > 20 || (major === "20" && Number(minor) >= 3) ? 0 : 1)'; then
  echo "node: $(node --version) is too old. Portcullis needs Node.js $wanted or later." >&2
  exit 1
fi
if ! command -v npm >/dev/null 2>&1; then
  echo "npm: not found. It comes with Node.js; on Debian it is the package npm." >&2
  exit 1
fi
