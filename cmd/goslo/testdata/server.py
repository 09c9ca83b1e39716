"""A server on real oslo.messaging: the topic is py, the server py-1. Arguments: the transport URL."""

import logging
import sys

import oslo_messaging
from oslo_config import cfg

logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


class Versioned:
    target = oslo_messaging.Target(version="6.3")

    def echo(self, ctxt, arg=None):
        return arg

    def whoami(self, ctxt):
        return ctxt.get("user_id")

    def fail(self, ctxt):
        raise KeyError("no such thing")


oslo_messaging.set_transport_defaults(control_exchange="openstack")
transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=sys.argv[1])
server = oslo_messaging.get_rpc_server(
    transport, oslo_messaging.Target(topic="py", server="py-1"), [Versioned()], executor="threading")
server.start()
print("ready", flush=True)
server.wait()
