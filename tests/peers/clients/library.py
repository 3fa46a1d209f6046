#!/usr/bin/env python3
"""zeep against a generated server, by the definition that the server gives.  usage: library.py URL"""
import json, os, sys
import zeep
from zeep.transports import Transport

url = sys.argv[1]
here = os.path.dirname(os.path.abspath(__file__))


class Offline(Transport):
    """The schema of SOAP's encoding comes from a file: zeep would fetch it from the network."""
    def load(self, url):
        if url.rstrip("/") == "http://schemas.xmlsoap.org/soap/encoding":
            url = f"{here}/../wsdl/rpc/soapenc.xsd"
        return super().load(url)


client = zeep.Client(f"{url}?wsdl", transport=Offline(timeout=20))
port = lambda name: client.bind("LibraryService", name)
HEAD = {"_soapheaders": {"session": {"id": "12345"}}}


def say(op, f):
    try:
        r = {"op": op, "out": f()}
    except zeep.exceptions.Fault as e:
        detail = [] if e.detail is None else [t for t in e.detail.itertext() if t.strip()]
        r = {"op": op, "fault": e.code, "subcodes": [str(getattr(c, "localname", c)) for c in e.subcodes or []],
             "said": e.message, "detail": detail}
    except Exception as e:
        r = {"op": op, "error": f"{type(e).__name__}: {e}"[:300]}
    print(json.dumps(r, ensure_ascii=False, default=str), flush=True)


def find(name, title):
    r = port(name).Find(title=title, limit=2, **HEAD)
    books = r.body.book
    return {"ids": [b.id for b in books], "title": books[0].title, "price": str(books[0].price),
            "authors": books[0].author, "left": (r.header.quota if hasattr(r.header, "quota") else r.header.Quota).left}


def divide(divisor):
    r = port("Sums").Divide(dividend=17, divisor=divisor)
    return {"quotient": r.quotient, "remainder": r.remainder}


def swap():
    r = port("Sums").Swap(pair={"left": 1, "right": 2})
    return {"left": r.left, "right": r.right}


say("find", lambda: find("Wrapped", "Žlutý <&> кот"))
say("none", lambda: find("Wrapped", "nothing"))
say("find12", lambda: find("Wrapped12", "Žlutý <&> кот"))
say("none12", lambda: find("Wrapped12", "nothing"))
say("log", lambda: port("Wrapped").Log(line="zeep"))
say("count", lambda: port("Bare").Count("кот 😀"))
say("store", lambda: port("Bare").Store(title="R.U.R.", year=1920, price=None, author=["K"]).id)
say("divide", lambda: divide(5))
say("zero", lambda: divide(0))
say("swap", swap)
