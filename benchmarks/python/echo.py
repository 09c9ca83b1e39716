"""The benchmarks' echo on the real oslo.messaging.

echo.py server URL: serves until it is killed.
echo.py client URL: for each line "CALLERS SECONDS" on its input, calls for so long from so many threads, and
prints the calls per second.
"""
import sys
import threading
import time

import oslo_messaging
from oslo_config import cfg

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
    threading.Event().wait()


def client(transport):
    target = oslo_messaging.Target(topic="pybench", version="1.0")
    rpc = oslo_messaging.RPCClient(transport, target)
    rpc.call(CONTEXT, "echo", arg="x" * 198)
    print("ready", flush=True)
    for line in sys.stdin:
        callers, seconds = line.split()
        end = time.monotonic() + float(seconds)
        counts = [0] * int(callers)

        def work(i):
            while time.monotonic() < end:
                rpc.call(CONTEXT, "echo", arg="x" * 198)
                counts[i] += 1

        started = time.monotonic()
        threads = [threading.Thread(target=work, args=(i,)) for i in range(len(counts))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        print(sum(counts) / (time.monotonic() - started), flush=True)


if __name__ == "__main__":
    conf = cfg.CONF
    conf([])
    bus = oslo_messaging.get_rpc_transport(conf, url=sys.argv[2])
    {"server": serve, "client": client}[sys.argv[1]](bus)
