"""A peer on the real oslo.messaging: peer.py URL TOPIC serve|call|cast|fanout|notify|hear.

Prints "ready" once it listens, or has sent, and lives until its standard input ends.
"""
import sys
import threading

import oslo_messaging
from oslo_config import cfg


class Endpoint:
    def echo(self, context, arg):
        return arg

    def info(self, context, publisher, event, payload, metadata):
        pass


def main():
    cfg.CONF([])
    url, topic, act = sys.argv[1:]
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url)
    target = oslo_messaging.Target(topic=topic, server='one')
    if act == 'notify':
        oslo_messaging.Notifier(
            oslo_messaging.get_notification_transport(cfg.CONF, url),
            driver='messagingv2', topics=[topic]).info({}, 'event', {})
        print('ready', flush=True)
    elif act == 'hear':
        listener = oslo_messaging.get_notification_listener(
            oslo_messaging.get_notification_transport(cfg.CONF, url),
            [oslo_messaging.Target(topic=topic)], [Endpoint()],
            executor='threading', pool='pool')
        listener.start()
        print('ready', flush=True)
    elif act == 'serve':
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
