#!/usr/bin/python3
"""The processes of a small cloud, each with oslo.messaging of its own.

The first line of the input is the cloud: a list of processes, with name (as
operators see it), program, log (a file), url, exchange, and for those that
serve topic, server and version; durable where queues are to be. All are forked from this one, so
that the libraries are loaded once. What follows are orders, see lines.py; their
member to names the process that is meant. The answer to the first line, id 0, has the
process ids, once all of them run.

Orders of a process:
  call, cast   make one: topic, perhaps exchange, server and namespace, version, method, args, context.
  notify       emit one: event_type, payload, priority.

Orders about a process:
  stop, go     SIGSTOP and SIGCONT
  kill         SIGKILL
"""

import ctypes
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback

try:
    from oslo_config import cfg
    import oslo_messaging
    from oslo_messaging import opts
except ImportError as error:
    sys.exit(f'{error}: apt-get install -y python3-oslo.messaging')

import lines

PR_SET_PDEATHSIG = 1


class Endpoint:
    """What all services answer to."""

    def __init__(self, process):
        self.process = process
        self.target = oslo_messaging.Target(version=process.about['version'])

    def echo(self, ctxt, arg):
        return arg

    def sleep(self, ctxt, seconds):
        time.sleep(seconds)
        return self.process.about['server']

    def fail(self, ctxt, text):
        raise ValueError(text)

    def build(self, ctxt, host, seconds=0, admin_pass=None):
        """Go on to a compute service, as a conductor does."""
        return self.process.call({
            'topic': 'compute', 'server': host, 'version': '6.0', 'method': 'sleep', 'args': {'seconds': seconds}, 'context': ctxt})


class Base:
    """What nova's services have beside their own methods."""

    target = oslo_messaging.Target(namespace='baseapi', version='1.1')

    def ping(self, ctxt, arg):
        return {'service': sys.argv[0], 'arg': arg}


class Process:
    def __init__(self, about):
        self.about = about
        self.transport = None
        self.notifier = None

    def run(self):
        about = self.about
        sys.argv[0] = about['program']
        logging.basicConfig(filename=about['log'], level=logging.INFO, force=True)
        cfg.CONF([], project='cloud')
        for group, options in opts.list_opts():
            cfg.CONF.register_opts(options, group)
        cfg.CONF.set_override('control_exchange', about['exchange'])
        self.transport = oslo_messaging.get_rpc_transport(cfg.CONF, about['url'])
        rabbit = 'oslo_messaging_rabbit'
        # A process that is stopped for the length of a test is not to be found out by its missing heartbeats.
        cfg.CONF.set_override('heartbeat_timeout_threshold', 0, rabbit)
        cfg.CONF.set_override('amqp_durable_queues', about.get('durable', False), rabbit)
        self.notifier = oslo_messaging.Notifier(
            oslo_messaging.get_notification_transport(cfg.CONF, about['url']),
            publisher_id=about['name'], driver='messagingv2', topics=['notifications'])
        if 'topic' in about:
            target = oslo_messaging.Target(topic=about['topic'], server=about['server'])
            oslo_messaging.get_rpc_server(self.transport, target, [Endpoint(self), Base()], executor='threading').start()
        lines.serve({'ready': lambda order: os.getpid(), 'call': self.call, 'cast': self.cast, 'notify': self.notify})

    def client(self, order):
        fields = ('exchange', 'topic', 'server', 'namespace', 'version')
        return oslo_messaging.get_rpc_client(
            self.transport, oslo_messaging.Target(**{f: order[f] for f in fields if order.get(f)}), timeout=order.get('timeout', 60))

    def call(self, order):
        return self.client(order).call(order.get('context') or {}, order['method'], **order.get('args') or {})

    def cast(self, order):
        self.client(order).cast(order.get('context') or {}, order['method'], **order.get('args') or {})

    def notify(self, order):
        emit = getattr(self.notifier, order['priority'])
        emit(order.get('context') or {}, order['event_type'], order['payload'])


class Child:
    """A process as its parent sees it."""

    def __init__(self, about):
        to_child, from_parent = os.pipe()
        to_parent, from_child = os.pipe()
        self.name = about['name']
        self.pid = os.fork()
        if self.pid == 0:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            os.dup2(to_child, 0)
            os.dup2(from_child, 1)
            os.closerange(3, 256)
            sys.stdin, sys.stdout = os.fdopen(0, 'r'), os.fdopen(1, 'w')
            try:
                Process(about).run()
            finally:
                traceback.print_exc()
                os._exit(1)
        os.close(to_child)
        os.close(from_child)
        self.orders = os.fdopen(from_parent, 'w')
        self.answers = os.fdopen(to_parent, 'r')

    def order(self, line):
        self.orders.write(line)
        self.orders.flush()

    def signal(self, number):
        os.kill(self.pid, number)
        if number == signal.SIGKILL:
            os.waitpid(self.pid, 0)


def main():
    cloud = json.loads(sys.stdin.readline())
    children = {about['name']: Child(about) for about in cloud['processes']}  # before there are threads
    output = threading.Lock()

    def answer(text):
        with output:
            sys.stdout.write(text)
            sys.stdout.flush()

    def relay(child):
        for line in child.answers:
            answer(line)

    for child in children.values():
        child.order('{"id": -1, "op": "ready"}\n')
    for child in children.values():
        for line in child.answers:
            if line.startswith('{'):
                break
        else:
            sys.exit(f'{child.name} ended before it was ready')
        threading.Thread(target=relay, args=(child,), daemon=True).start()
    answer(json.dumps({'id': cloud['id'], 'ok': {name: child.pid for name, child in children.items()}}) + '\n')
    signals = {'stop': signal.SIGSTOP, 'go': signal.SIGCONT, 'kill': signal.SIGKILL}
    for line in sys.stdin:
        order = json.loads(line)
        child = children[order['to']]
        if order['op'] in signals:
            child.signal(signals[order['op']])
            answer(json.dumps({'id': order['id'], 'ok': None}) + '\n')
        else:
            child.order(line)
    os._exit(0)


if __name__ == '__main__':
    main()
