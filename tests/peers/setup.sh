#!/usr/bin/env bash
# Installs the foreign SOAP stacks into a folder of the build: setup.sh [DIR]   (default: target/peers)
#
# Copies the scripts there, makes a Python environment and a node_modules beside them, and asks apt-get only for
# what is missing and only when it may. A second run finds everything there and is done in a second.
# Ends with 0 when every stack can run; otherwise says on standard error what is missing, and ends with 1.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=${1:-${CARGO_TARGET_DIR:-$here/../../target}/peers}
mkdir -p "$dir" && dir=$(cd "$dir" && pwd) || exit 1

say() { printf 'peers: %s\n' "$*" >&2; }

for part in bench clients harness nasty servers wsdl package.json package-lock.json requirements.txt; do
  rm -rf "${dir:?}/$part" && cp -R "$here/$part" "$dir/$part" || exit 1
done

# --- Debian packages -------------------------------------------------------------------------------------------
has_perl() { perl -e "require $1" >/dev/null 2>&1; }
has_php_soap() { php -r 'exit(extension_loaded("soap") ? 0 : 1);' >/dev/null 2>&1; }
has_venv() { python3 -c 'import venv, ensurepip' >/dev/null 2>&1; }
missing_packages() {
  has_perl SOAP::Lite || echo libsoap-lite-perl
  has_perl HTTP::Daemon || echo libhttp-daemon-perl
  has_perl Plack || echo libplack-perl
  has_perl XML::Parser || echo libxml-parser-perl
  has_perl MIME::Parser || echo libmime-tools-perl
  command -v starman >/dev/null || echo starman
  command -v php >/dev/null || echo php-cli
  has_php_soap || echo php-soap
  has_venv || echo python3-venv
  command -v node >/dev/null || echo nodejs
  command -v npm >/dev/null || echo npm
}
mapfile -t wanted < <(missing_packages)
if [ "${#wanted[@]}" -gt 0 ]; then
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo -n)
  if command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; then
    say "installing ${wanted[*]}"
    apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300)
    install=("${apt[@]}" install --no-install-recommends "${wanted[@]}")
    "${install[@]}" >"$dir/apt.log" 2>&1 ||
      { "${apt[@]}" update && "${install[@]}"; } >"$dir/apt.log" 2>&1 ||
      { say "apt-get failed:"; tail -n 5 "$dir/apt.log" >&2; }
  fi
fi

# --- PyPI and npm, where what is asked for has changed -------------------------------------------------------------
# Runs a command unless it has already succeeded with the same input; a stamp keeps the input's checksum.
once() {
  local stamp=$dir/.done-$1 input=$2 sum
  shift 2
  sum=$(cksum <"$input")
  [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ] && return 0
  rm -f "$stamp"
  "$@" >"$stamp.log" 2>&1 && printf '%s\n' "$sum" >"$stamp" && return 0
  tail -n 5 "$stamp.log" >&2
  return 1
}
python_packages() {
  python3 -m venv "$dir/.venv" && "$dir/.venv/bin/python" -m pip install -q --disable-pip-version-check -r "$dir/requirements.txt"
}
node_packages() { (cd "$dir" && npm ci --no-audit --no-fund --ignore-scripts); }

if has_venv; then once python "$dir/requirements.txt" python_packages || say "pip failed"; fi
if command -v npm >/dev/null; then once node "$dir/package-lock.json" node_packages || say "npm failed"; fi

# --- what came of it ---------------------------------------------------------------------------------------------
command -v python3 >/dev/null || { say "python3 is missing: nothing can run"; exit 1; }
python3 "$dir/harness/have.py" >/dev/null
