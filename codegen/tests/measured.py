#!/usr/bin/env python3
"""Runs a command and says what it took: measured.py COMMAND ...

The command's own output goes to standard error; on standard output stands one JSON object: `code`, `cpu` (seconds of
all its processes), `wall` (seconds), `peak` (bytes, of the largest of its processes).
"""
import json, os, sys, time

start = time.monotonic()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, used = os.wait4(pid, 0)
print(json.dumps({
    "code": os.waitstatus_to_exitcode(status),
    "cpu": used.ru_utime + used.ru_stime,
    "wall": time.monotonic() - start,
    "peak": used.ru_maxrss * 1024,
}))
