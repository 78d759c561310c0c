from __future__ import annotations
import json, socket, time, uuid
import pytest
from tests.integration.action_api.grafana_identity import *
from tests.integration.action_api.served import *
pytest_plugins = ["tests.integration.action_api.served_fixtures"]
W="/v1/viewer/whoami"

def hdrs(h): return "".join(f"{k}: {v}\r\n" for k,v in h.items()).encode()

def raw(served, first, headers, body=b""):
    return served.api.raw(first+b"\r\nHost: x\r\nConnection: close\r\n"+headers+b"\r\n"+body)

def test_probe(served):
    A=hdrs(alice()); J=b"Content-Type: application/json\r\nX-Celerytrail-Action: 1\r\n"
    E=hdrs(alice("Editor"))
    def show(n, r):
        head,_,b=r.partition(b"\r\n\r\n"); print(n, "=>", head.split(b"\r\n")[0], b[:300])
    for p in ["//v1/viewer/whoami","/v1//viewer/whoami","/v1/viewer/whoami/","/v1/operator/../admin/purge","/v1/operator/..%2fadmin%2fpurge","/v1/operator/%2e%2e/admin/purge","http://evil/v1/viewer/whoami","/v1/viewer/whoami;x","/v1/viewer/whoami%00","*","/v1/viewer/whoami?","/v1/viewer/WHOAMI", "/v1/viewer/whoami%0d%0aX: y", "//evil.example/%2e%2e", "/v1/viewer/who\xe4".encode("latin1").decode("latin1")]:
        show(p, raw(served, f"GET {p} HTTP/1.1".encode("latin1"), A))
    q="namespace=acme&service=shop&environment=test&queue=orders&seen_depth=0"
    for p in ["//v1/admin/purge","/v1//admin/purge","/v1/admin//purge","/v1/operator/../admin/purge","/v1/admin/purge/", "/v1/operator/..%2f..%2fv1/admin/purge", "/v1/admin/purge"]:
        show("POST "+p, raw(served, f"POST {p}?{q} HTTP/1.1".encode(), E+J+b"Content-Length: 2\r\n", b"{}"))
    show("obsfold", raw(served, f"GET {W} HTTP/1.1".encode(), A+b"X-Grafana-Foo: a\r\n b\r\n"))
    show("tab", raw(served, f"GET {W} HTTP/1.1".encode(), A.replace(b"X-Celerytrail-Proxy: ",b"X-Celerytrail-Proxy:\t ")))
    show("space before colon", raw(served, f"GET {W} HTTP/1.1".encode(), A.replace(b"X-Celerytrail-Proxy: ",b"X-Celerytrail-Proxy : ")))
    show("empty dup", raw(served, f"GET {W} HTTP/1.1".encode(), A+b"X-Grafana-Id:\r\n"))
    show("empty first", raw(served, f"GET {W} HTTP/1.1".encode(), b"X-Grafana-Context:\r\n"+A))
    show("empty auth", raw(served, f"GET {W} HTTP/1.1".encode(), A+b"Authorization:\r\n"))
    show("TE+CL", raw(served, f"POST {W} HTTP/1.1".encode(), A+J+b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", b"2\r\n{}\r\n0\r\n\r\n"))
    show("TE xchunked", raw(served, f"POST /v1/admin/purge?{q} HTTP/1.1".encode(), A+J+b"Transfer-Encoding: xchunked\r\n", b"2\r\n{}\r\n0\r\n\r\n"))
    show("trailers", raw(served, f"POST /v1/operator/retry?{q} HTTP/1.1".encode(), J+b"Transfer-Encoding: chunked\r\nTrailer: X-Grafana-Id\r\n", b"2\r\n{}\r\n0\r\n"+A+b"\r\n"))
    show("2CL", raw(served, f"POST /v1/admin/purge?{q} HTTP/1.1".encode(), A+J+b"Content-Length: 2\r\nContent-Length: 3\r\n", b"{} "))
    show("bare LF", served.api.raw(f"GET {W} HTTP/1.1\nHost: x\nConnection: close\n".encode()+A.replace(b"\r\n",b"\n")+b"\n"))
    show("NUL", raw(served, f"GET {W} HTTP/1.1".encode(), A+b"X-A: a\0b\r\n"))
    show("LF in value", raw(served, f"GET {W} HTTP/1.1".encode(), A+b"X-A: a\nX-Grafana-User: b\r\n"))
    # unread body as a smuggled second request
    inner=f"GET {W} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()+A+b"\r\n"
    r=served.api.raw(f"GET {W} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(inner)}\r\n\r\n".encode()+inner+f"GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    print("SMUGGLE", r.count(b"HTTP/1.1 "), b"alice" in r, [l for l in r.split(b"\r\n") if l.startswith(b"HTTP/1.1")])
    r=served.api.raw(f"POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()+b"%x\r\n"%len(inner)+inner+b"\r\n0\r\n\r\n"+f"GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    print("SMUGGLE2", r.count(b"HTTP/1.1 "), b"alice" in r, [l for l in r.split(b"\r\n") if l.startswith(b"HTTP/1.1")])
    def claim(n, **c):
        a=served.api.request("GET", W, {**alice(), "X-Grafana-Id": token(claims(**c))}); print(n, a.status, a.body[:160])
    now=int(time.time())
    for n,c in {"inf":dict(exp=float("inf")),"nan":dict(exp=float("nan")),"true":dict(exp=True),"huge":dict(exp=10**400),"str":dict(exp=str(now+60)),"float":dict(exp=now+60.5),"list":dict(exp=[now+60]),"iatinf":dict(iat=float("inf")),"iatfut":dict(iat=now+90),"nbfinf":dict(nbf=float("inf")),"nbflist":dict(nbf=[1]),"aud str":dict(aud="org:1"),"aud list of list":dict(aud=[["org:1"]]),"aud dict":dict(aud={"org:1":1}),"aud[]":dict(aud=[]),"iss list":dict(iss=[ISSUER]),"type list":dict(type=["user"]),"sub list":dict(sub=["user:uid-alice"]),"user list":dict(username=["alice"]),"surrogate":dict(login="a\ud800"),"role list":dict(role=["Admin"]),"zwj":dict(login="a\u200dlice"), "nul":dict(login="a\0")}.items():
        try: claim(n, **c)
        except Exception as e: print(n, "EXC", type(e), e)
    for n,h in {"kid list":{"kid":["the-key"]},"kid int":{"kid":1},"kid path":{"kid":"../../dev/null"},"crit":{"crit":["b64"],"b64":False},"crit2":{"crit":["x"]},"jku":{"jku":"http://127.0.0.1:1/"}}.items():
        try:
            a=served.api.request("GET", W, {**alice(), "X-Grafana-Id": token(claims(), headers=h)}); print(n, a.status, a.body[:160])
        except Exception as e: print(n, "EXC", type(e), e)
    print(served.api.output[-6000:])
