#!/usr/bin/env python3
"""Runs one of the servers for as long as standard input stays open.  usage: serve.py NAME STYLE

Prints its URL on one line as soon as it listens.
"""
import sys
from lab import Server

name, style = sys.argv[1:3]
with Server(name, style) as server:
    print(f"http://127.0.0.1:{server.port}{server.path}", flush=True)
    sys.stdin.read()
