#!/usr/bin/env python3
"""Sends recorded raw requests to a server and judges the answers.

usage: replay.py URL STYLE [DIR]      (DIR defaults to ../nasty)
DIR/requests/STYLE/*.req are sent byte for byte; DIR/EXPECT.tsv says what a
careful server does: ok, fault, reject (any prompt refusal) or any.
"""
import os, re, socket, sys, threading, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from recproxy import Eof, Reader


def ask(port, raw, timeout=20):
    """(raw answer, seconds, note)"""
    t, got, note = time.time(), b"", ""
    s = socket.create_connection(("127.0.0.1", port), timeout)
    try:
        def push():
            try:
                s.sendall(raw)
            except OSError:
                pass
        threading.Thread(target=push, daemon=True).start()
        r = Reader(s)
        h = r.head()
        while h[9:12] == b"100":
            got += h
            h = r.head()
        got += h + r.body(h, True)
    except (Eof, ConnectionError):
        note = "closed" if not got else ""
    except (TimeoutError, socket.timeout):
        note = "timeout"
    finally:
        s.close()
    return got, time.time() - t, note


def request(d, style, case):
    """The raw bytes of a case; the one with 100 000 nested elements is made here, being 0.7 MB of nothing."""
    if case != "deep-nesting-100k":
        return open(f"{d}/requests/{style}/{case}.req", "rb").read()
    head, _, body = open(f"{d}/requests/{style}/baseline.req", "rb").read().partition(b"\r\n\r\n")
    end = re.search(rb"(<n:)?i_account>1001</(n:)?i_account>", body).end()
    body = body[:end] + b"<d>" * 100_000 + b"</d>" * 100_000 + body[end:]
    return re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head) + b"\r\n\r\n" + body


def verdict(raw, note):
    if note:
        return note
    head, _, body = raw.partition(b"\r\n\r\n")
    if head[9:12] == b"100":
        head, _, body = body.partition(b"\r\n\r\n")
    status = head[9:12].decode("latin-1")
    m = re.search(rb"<(?:[\w.-]+:)?faultcode[^>]*>([^<]*)", body) or re.search(rb"Value[^>]*>([^<]*)", body)
    if m and b"Fault" in body:
        return f"{status} fault {m.group(1).decode('utf-8', 'replace').strip()[:60]}"
    return f"{status} ok" if any("16045551001".encode(e) in body for e in ("ascii", "utf-16-le", "utf-16-be")) else f"{status} other ({len(body)} bytes)"


def agrees(v, want):
    ok, fault = v.endswith(" ok"), " fault" in v
    refuse = fault or v[:1] in "45" or v == "closed"
    return want == "any" and v != "timeout" or want == "ok" and ok or want == "fault" and fault or want == "reject" and refuse


if __name__ == "__main__":
    url, style = sys.argv[1:3]
    d = sys.argv[3] if len(sys.argv) > 3 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "../nasty")
    port, path = int(url.split(":")[2].split("/")[0]), "/" + url.split("/", 3)[3]
    bad = n = 0
    for line in open(f"{d}/EXPECT.tsv"):
        kind, st, case, want = line.rstrip("\n").split("\t")
        if (kind, st) != ("requests", style):
            continue
        raw = request(d, style, case).replace(b" /soap/ ", b" %s " % path.encode(), 1)
        try:
            ans, dt, note = ask(port, raw)
        except OSError:
            ans, dt, note = b"", 0, "down"
        v = verdict(ans, note)
        good = agrees(v, want)
        n, bad = n + 1, bad + (not good)
        print(f"{'' if good else '!':2}{case:28}{want:8}{v}  {dt:.2f}s")
    print(f"{n - bad} of {n} as expected")
    sys.exit(bad > 0)
