"""Serves a method on oslo.messaging, as SERVER NAMESPACE VERSION each, and logs warnings and worse to standard error.

python3 servers.py URL TOPIC SERVER:NAMESPACE:VERSION...
"""
import logging
import sys

from oslo_config import cfg
import oslo_messaging


class Endpoint:
    def __init__(self, namespace, version):
        if version:
            self.target = oslo_messaging.Target(namespace=namespace or None, version=version)

    def work(self, ctxt):
        return 1


logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
conf = cfg.CONF
conf([])
transport = oslo_messaging.get_rpc_transport(conf, url=sys.argv[1])
for arg in sys.argv[3:]:
    server, namespace, version = arg.split(":")
    target = oslo_messaging.Target(topic=sys.argv[2], server=server)
    oslo_messaging.get_rpc_server(transport, target, [Endpoint(namespace, version)], executor="threading").start()
print("ready", flush=True)
sys.stdin.read()
