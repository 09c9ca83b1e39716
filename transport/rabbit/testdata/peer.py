"""A peer on the real oslo.messaging: peer.py URL TOPIC serve|call|cast|fanout.

Prints "ready" once it listens, or has sent, and lives until its standard input ends.
"""
import sys
import threading

import oslo_messaging
from oslo_config import cfg


class Endpoint:
    def echo(self, context, arg):
        return arg


def main():
    cfg.CONF([])
    url, topic, act = sys.argv[1:]
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url)
    target = oslo_messaging.Target(topic=topic, server='one')
    if act == 'serve':
        server = oslo_messaging.get_rpc_server(
            transport, target, [Endpoint()], executor='threading')
        server.start()
        print('ready', flush=True)
    else:
        client = oslo_messaging.get_rpc_client(
            transport, oslo_messaging.Target(topic=topic), timeout=7)
        client = client.prepare(fanout=True if act == 'fanout' else None)
        run = client.call if act == 'call' else client.cast
        thread = threading.Thread(
            target=run, args=({}, 'echo'), kwargs={'arg': 'hello'}, daemon=True)
        thread.start()
        if act != 'call':
            thread.join()
        print('ready', flush=True)
    sys.stdin.read()


main()
