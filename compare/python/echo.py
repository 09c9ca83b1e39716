"""An echo on the real oslo.messaging.

echo.py server URL: serves until its input ends.
echo.py client URL: for each line "CALLERS SECONDS" on its input, calls for so long from so many threads, and
prints what it did as JSON.
"""
import json
import sys
import threading
import time

import oslo_messaging
from oslo_config import cfg

ARG = "x" * 198
CONTEXT = dict({"request_id": "req-5f0c2c1e-7a55-4d9a-9d4f-3a3b2d1c0e9f", "is_admin": True,
                "roles": ["admin", "member"]},
               **{"context_key_%d" % i: "v" * 20 for i in range(3, 10)})


class Echo:
    target = oslo_messaging.Target(version="1.0")

    def echo(self, ctxt, arg):
        return arg


def serve(transport):
    server = oslo_messaging.get_rpc_server(
        transport, oslo_messaging.Target(topic="pybench", server="h1"), [Echo()], executor="threading")
    server.start()
    print("ready", flush=True)
    sys.stdin.read()


def client(transport):
    target = oslo_messaging.Target(topic="pybench", version="1.0")
    rpc = oslo_messaging.get_rpc_client(transport, target)

    def call():
        got = rpc.call(CONTEXT, "echo", arg=ARG)
        if got != ARG:
            raise ValueError("the echo was %r" % got)

    call()
    print("ready", flush=True)
    for line in sys.stdin:
        callers, seconds = line.split()
        started = time.monotonic()
        end = started + float(seconds)
        spent = [[] for _ in range(int(callers))]

        def work(mine):
            ended = time.monotonic()
            while not mine or ended < end:
                began = ended
                call()
                ended = time.monotonic()
                mine.append(ended - began)

        threads = [threading.Thread(target=work, args=(mine,)) for mine in spent]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        took = time.monotonic() - started
        every = sorted(x for mine in spent for x in mine)
        print(json.dumps({"count": len(every), "per_second": len(every) / took,
                          "p50": every[len(every) // 2], "p99": every[len(every) * 99 // 100]}), flush=True)


if __name__ == "__main__":
    conf = cfg.CONF
    conf([])
    bus = oslo_messaging.get_rpc_transport(conf, url=sys.argv[2])
    {"server": serve, "client": client}[sys.argv[1]](bus)
