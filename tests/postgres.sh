#!/usr/bin/env bash
# Makes sure that PostgreSQL's own programs are there, 15 or later: the tests start a server of their own from them.
#
# Ends with 0 when they are; asks apt-get only if not, and only when it may. No server is left running.
set -uo pipefail

say() { printf 'postgres: %s\n' "$*" >&2; }

newest() {
  local bin best=
  for bin in /usr/lib/postgresql/*/bin; do
    [ -x "$bin/initdb" ] && [ "$(basename "$(dirname "$bin")")" -ge 15 ] && best=$bin
  done
  [ -n "$best" ] && { echo "$best"; return; }
  command -v initdb >/dev/null && command -v postgres >/dev/null && dirname "$(command -v initdb)"
}

[ -n "$(newest)" ] && exit 0

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo -n)
if command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; then
  say "installing postgresql"
  # Debian would make a cluster and start it.
  [ -e /etc/postgresql-common/createcluster.conf ] || {
    "${as_root[@]}" mkdir -p /etc/postgresql-common &&
      echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
  }
  apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300)
  install=("${apt[@]}" install --no-install-recommends postgresql)
  { "${install[@]}" || { "${apt[@]}" update && "${install[@]}"; }; } >/tmp/postgres-apt.log 2>&1 ||
    { say "apt-get failed:"; tail -n 5 /tmp/postgres-apt.log >&2; }
fi
[ -n "$(newest)" ] || { say "PostgreSQL 15 or later (initdb, postgres) is missing"; exit 1; }
