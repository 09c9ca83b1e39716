#!/usr/bin/python3
"""Servers on the real oslo.messaging that a Go test starts and stops, see lines.py.

Orders:
  start    start a server: url, topic, server, and perhaps exchange.
  refused  start one that does not start; the answer says why.
  stop     stop one, and wait until its work is done.
  log      what the servers of this process logged as errors.
"""

import logging
import sys
import threading
import time

try:
    from oslo_config import cfg
    import oslo_messaging
    from oslo_messaging import opts
except ImportError as error:
    sys.exit(f'{error}: apt-get install -y python3-oslo.messaging')

import lines
from shop import errors
from shop import internal

CLIENT_MODULES = ['shop.errors']


class Shop:
    """The endpoint without a namespace. The Go server of the same tests has the same methods."""

    target = oslo_messaging.Target(version='1.5')

    def __init__(self, name, transport):
        self.name = name
        self.transport = transport
        self.notes = {}
        self.lock = threading.Lock()

    def echo(self, ctxt, arg):
        return arg

    def mirror(self, ctxt, **args):
        return args

    def nothing(self, ctxt):
        return None

    def add(self, ctxt, left, right):
        return left + right

    def context(self, ctxt):
        return ctxt

    def whoami(self, ctxt):
        return self.name

    def slow(self, ctxt, seconds, tag=None):
        if tag:
            self.note(ctxt, tag)
        time.sleep(seconds)
        return seconds

    def note(self, ctxt, tag):
        """Remember that this ran; a cast cannot be seen otherwise."""
        with self.lock:
            self.notes[tag] = self.notes.get(tag, 0) + 1
        return self.notes[tag]

    def noted(self, ctxt, tag):
        with self.lock:
            return self.notes.get(tag, 0)

    def fail(self, ctxt, kind):
        if kind == 'several':
            raise ValueError('bad quantity', 7)
        if kind == 'no_args':
            raise ValueError()
        if kind == 'lookup':
            raise KeyError('sku')
        if kind == 'allowed':
            raise errors.OutOfStock('none left')
        if kind == 'unicode':
            raise errors.OutOfStock('nichts mehr übrig: 櫛 \U0001f4e6')
        if kind == 'kwargs':
            raise errors.NoSpace(sku=7, shelf='b2')
        if kind == 'foreign':
            raise internal.LedgerBroken('page missing')
        if kind == 'newlines':
            raise errors.OutOfStock('one\ntwo')
        raise AssertionError(kind)

    @oslo_messaging.expected_exceptions(errors.OutOfStock)
    def expected(self, ctxt):
        raise errors.OutOfStock('as usual')

    def relay(self, ctxt, topic, kind):
        """Call another server and let its failure pass."""
        client = oslo_messaging.get_rpc_client(self.transport, oslo_messaging.Target(topic=topic))
        return client.call(ctxt, 'fail', kind=kind)

    def relay_context(self, ctxt, topic):
        client = oslo_messaging.get_rpc_client(self.transport, oslo_messaging.Target(topic=topic))
        return client.call(ctxt, 'context')

    def _secret(self, ctxt):
        return 'secret'


class Control:
    target = oslo_messaging.Target(namespace='control', version='2.0')

    def which(self, ctxt):
        return 'control 2.0'


class Stock:
    """Answers to an older namespace, and to none."""

    target = oslo_messaging.Target(namespace='stock', version='3.1', legacy_namespaces=['inventory', None])

    def which(self, ctxt):
        return 'stock 3.1'


class First:
    target = oslo_messaging.Target(namespace='twice', version='1.0')

    def which(self, ctxt):
        return 'first'


class Second:
    target = oslo_messaging.Target(namespace='twice', version='1.1')

    def which(self, ctxt):
        return 'second'

    def only(self, ctxt):
        return 'second only'


servers = {}
logged = []


class Memory(logging.Handler):
    def emit(self, record):
        logged.append(self.format(record))


def start(order):
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, order['url'], allowed_remote_exmods=CLIENT_MODULES)
    target = oslo_messaging.Target(
        exchange=order.get('exchange'), topic=order['topic'], server=order['server'])
    endpoints = [Shop(order['server'], transport), Control(), Stock(), First(), Second()]
    server = oslo_messaging.get_rpc_server(transport, target, endpoints, executor='threading')
    server.start()
    servers[order['topic'], order['server']] = server


def refused(order):
    try:
        start(order)
    except Exception as error:
        return str(error)
    return ''


def stop(order):
    server = servers.pop((order['topic'], order['server']))
    server.stop()
    server.wait()


def log(order):
    return logged


if __name__ == '__main__':
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger().addHandler(Memory(level=logging.ERROR))
    cfg.CONF([], project='interop')
    for group, options in opts.list_opts():
        cfg.CONF.register_opts(options, group)
    cfg.CONF.set_override('rpc_ping_enabled', True)
    lines.serve({'start': start, 'refused': refused, 'stop': stop, 'log': log})
