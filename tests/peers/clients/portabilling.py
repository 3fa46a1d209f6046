#!/usr/bin/env python3
"""zeep against a PortaBilling that serves its own WSDL.  usage: portabilling.py BASE_URL"""
import json, os, sys
import zeep
from zeep.transports import Transport

base = sys.argv[1]
NS = "http://schemas.portaone.com/soap"
here = os.path.dirname(os.path.abspath(__file__))


class Offline(Transport):
    """The schema of SOAP's encoding comes from a file: zeep would fetch it from the network."""
    def load(self, url):
        if url.rstrip("/") == "http://schemas.xmlsoap.org/soap/encoding":
            url = f"{here}/../wsdl/rpc/soapenc.xsd"
        return super().load(url)


def service(name):
    return zeep.Client(f"{base}/wsdl/{name}AdminService.wsdl", transport=Offline(timeout=20)).service


ses, acc = service("Session"), service("Account")
head = {}


def items(a):
    for k in ("item", "_value_1"):
        if hasattr(a, k):
            a = getattr(a, k)
    return [] if a is None else list(a) if isinstance(a, (list, tuple)) else list(a)


def say(op, f):
    try:
        r = {"op": op, "out": f()}
    except zeep.exceptions.Fault as e:
        r = {"op": op, "fault": e.code, "said": e.message}
    print(json.dumps(r, ensure_ascii=False, default=str), flush=True)
    return r.get("out")


def out(r, k):
    """zeep unwraps an answer of one member; an empty one comes as the structure itself."""
    return getattr(r, k) if hasattr(r, k) else r


def info(i):
    a = out(acc.get_account_info({"i_account": i}, **head), "account_info")
    if a is None:
        return {"found": False}
    fs = items(a.service_features)
    return {"found": True, "id": a.id, "lastname": a.lastname, "balance": a.balance, "credit_limit": a.credit_limit,
            "features": [f.name for f in fs], "values": items(items(fs[1].attributes)[0]["values"])}


def listing():
    r = acc.get_account_list({"limit": 2, "offset": 1, "get_total": 1}, **head)
    return {"ids": [a.i_account for a in items(r.account_list)], "total": r.total}


say("no_auth", lambda: info(1000000))
say("wrong_login", lambda: ses.login({"login": "demo", "password": "no"}))
sid = say("login", lambda: ses.login({"login": "demo", "password": 'p&ss<w>"ö'}).session_id)
head = {"_soapheaders": {"auth_info": {"session_id": sid}}}
say("info", lambda: info(1000000))
say("list", listing)
say("update", lambda: out(acc.update_account({"account_info": {"i_account": 1000000, "lastname": 'Žlutá <&> "кот" 😀', "credit_limit": 12.5}}, **head), "i_account"))
say("after", lambda: info(1000000))
say("missing", lambda: info(7))
say("logout", lambda: out(ses.logout({"session_id": sid}, **head), "success"))
say("ended", lambda: info(1000000))
