#!/usr/bin/env python3
"""Which stacks can run here: one JSON object, name -> whether; the missing ones also on standard error.

"harness" stands for these scripts themselves, which need nothing but Python.

Ends with 1 when any is missing.
"""
import json, sys
from stacks import CLIENTS, SERVERS, installed

have = {"harness": True, **{name: installed(name) for name in [*SERVERS, *CLIENTS]}}
print(json.dumps(have))
for name, there in have.items():
    if not there:
        print(f"peers: {name} is not installed", file=sys.stderr)
sys.exit(not all(have.values()))
