#!/usr/bin/env bash
# Installs the Debian 12 packages that are missing of a list, by default
# deploy/packages.txt:  deploy/setup.sh [LIST]
# Needs root or sudo only if something is missing. Safe to run again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

mapfile -t wanted < <(grep -v '^#' "${1:-$here/packages.txt}")
missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null |
    grep -q 'install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "packages: all ${#wanted[@]} present"
  exit 0
fi
echo "packages: installing ${#missing[@]} of ${#wanted[@]}: ${missing[*]}"
if ! command -v apt-get >/dev/null; then
  echo "setup.sh: this is not Debian; install the packages above by hand" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "setup.sh: run as root, or install sudo" >&2
    exit 1
  }
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
echo "packages: done"
