#!/bin/bash
# Is every package of tools/packages.txt here? Installs the missing ones (Debian 12; as root, or by sudo without a
# password), otherwise prints the line to give to an administrator and exits 3. Called by quickstart.sh and test.sh.
# Those marked [ci] count only with the argument --ci.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C.UTF-8 PATH="$PATH:/usr/sbin:/usr/bin:/sbin:/bin"

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "packages: not checked (this is no Debian), CMake will name what it does not find"
  exit 0
fi

left_out='\[ci\]'
[[ ${1:-} == --ci ]] && left_out='^$'
mapfile -t wanted < <(grep -v "$left_out" tools/packages.txt | sed 's/#.*//' | xargs -n 1)
installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' | sed -n 's/ installed$//p')
mapfile -t missing < <(printf '%s\n' "${wanted[@]}" | grep -vxF -f <(echo "$installed") || true)
if [[ ${#missing[@]} -eq 0 ]]; then
  echo "packages: all ${#wanted[@]} are here"
  exit 0
fi

if [[ $EUID -eq 0 ]]; then
  as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  as_root=(sudo -n env)
else
  echo "install_packages.sh: ${#missing[@]} packages are missing (installing needs root), give this to an administrator:" >&2
  echo "apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
  exit 3
fi

echo "packages: installing ${missing[*]}"
install=("${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3)
if ! { "${install[@]}" update && "${install[@]}" install -y --no-install-recommends "${missing[@]}"; } </dev/null; then
  echo "install_packages.sh: apt-get failed (its own words are above), check the network and /etc/apt, then repeat" >&2
  exit 3
fi
echo "packages: installed ${#missing[@]}"
