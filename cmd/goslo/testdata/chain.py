"""A service on real oslo.messaging that asks others in turn. Arguments: the transport URL, the topic and the server.

conductor.build asks scheduler.select, has compute told to boot, and returns; scheduler.fail fails.
"""

import logging
import sys
import time

import oslo_messaging
from oslo_config import cfg

logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
url, topic, server = sys.argv[1:]


class Chain:
    target = oslo_messaging.Target(version="1.0")

    def build(self, ctxt, name, admin_pass=None):
        host = client("scheduler").call(ctxt, "select", name=name)
        client("compute", server=host).cast(ctxt, "boot", name=name)
        return host

    def select(self, ctxt, name):
        time.sleep(0.2)
        return "cmp-1"

    def boot(self, ctxt, name):
        pass

    def fail(self, ctxt):
        raise KeyError("the password=hunter2 is wrong")

    def sleep(self, ctxt, seconds):
        time.sleep(seconds)


def client(topic, **to):
    return oslo_messaging.get_rpc_client(transport, oslo_messaging.Target(topic=topic)).prepare(**to)


oslo_messaging.set_transport_defaults(control_exchange="nova")
transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=url)
serving = oslo_messaging.get_rpc_server(
    transport, oslo_messaging.Target(topic=topic, server=server), [Chain()], executor="threading")
serving.start()
print("ready", flush=True)
serving.wait()
