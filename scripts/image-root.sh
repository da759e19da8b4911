#!/bin/sh
# Lays the root of an image in DIR: a program, the libraries that it and the native modules in FOLDER load, and the
# few files that the C library reads. Runs in the Dockerfile, on Debian.
#   image-root.sh DIR PROGRAM FOLDER
set -eu
root=$1 program=$2 modules=$3
packages='base-files libc6 libgcc-s1 libstdc++6'

mkdir -p "$root/etc" "$root/tmp" "$root/var/lib/portcullis" "$root/var/lib/dpkg/status.d"
cp --parents "$program" "$root"
missing=$(find "$modules" -name '*.node' -exec ldd {} + | grep 'not found' || true)
[ -z "$missing" ] || { echo "image-root.sh: $missing" >&2; exit 1; }
find "$program" "$modules" \( -path "$program" -o -name '*.node' \) -exec ldd {} + |
  grep -o '/[^ ]*\.so[^ ]*' | sed 's/:$//' | sort -u | grep -v '\.node' |
  while read -r library; do cp -L --parents "$library" "$root"; done

cp -L /etc/os-release "$root/etc/os-release"
printf 'root:x:0:0:root:/:/sbin/nologin\nportcullis:x:65532:65532:portcullis:/tmp:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nportcullis:x:65532:\n' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
chmod 1777 "$root/tmp"
chown 65532:65532 "$root/var/lib/portcullis"

for package in $packages; do
  dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
  cp --parents "/usr/share/doc/$package/copyright" "$root"
done
if [ -f /usr/local/LICENSE ]; then install -D -m 644 /usr/local/LICENSE "$root/usr/share/doc/node/LICENSE"; fi
