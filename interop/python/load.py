#!/usr/bin/python3
"""Steady load on the real oslo.messaging, and the server that it goes to, see lines.py.

Orders:
  serve     start a server: url, topic, server. It records what it executes.
  executed  what the servers have executed, in order, from the given index on:
            pairs of key and time.
  load      start a load: url, pair, topic, server, run, timeout, and how many
            calls, casts and fanouts there are per second. Every request has a
            key of its own, and is made in a thread of its own, so that one
            that hangs holds nobody up. Every other one names the server.
  unload    make no more requests.
  ended     the requests that have ended, in order, from the given index on:
            pair, key, kind, when it began and ended, and the class of the
            error, which is empty when there was none.
  version   that of oslo.messaging.
  open      the requests that have not ended: pair, key, kind, when it began.

Times are in seconds since 1970.
"""

import importlib.metadata
import logging
import sys
import threading
import time

try:
    from oslo_config import cfg
    import oslo_messaging
except ImportError as error:
    sys.exit(f'{error}: apt-get install -y python3-oslo.messaging')

import lines

executions = []  # appended to only, which needs no lock
ends = []
opened = {}
running = []  # an event for each load, set when it is to end
transports = {}
transports_lock = threading.Lock()


def transport(url):
    with transports_lock:
        if url not in transports:
            transports[url] = oslo_messaging.get_rpc_transport(cfg.CONF, url)
        return transports[url]


class Recorder:
    def work(self, ctxt, key):
        executions.append((key, time.time()))
        return key

    def note(self, ctxt, key):
        executions.append((key, time.time()))


def serve(order):
    target = oslo_messaging.Target(topic=order['topic'], server=order['server'])
    oslo_messaging.get_rpc_server(
        transport(order['url']), target, [Recorder()], executor='threading').start()


def executed(order):
    return executions[order['from']:]


class Load:
    def __init__(self, order):
        self.order = order
        self.halt = threading.Event()
        target = oslo_messaging.Target(topic=order['topic'])
        client = oslo_messaging.get_rpc_client(transport(order['url']), target, timeout=order['timeout'])
        self.anyone = client
        self.one = client.prepare(server=order['server'])
        self.all = client.prepare(fanout=True)

    def start(self):
        for kind in ('call', 'cast', 'fanout'):
            if self.order[kind + 's']:
                threading.Thread(target=self.repeat, args=(kind, 1 / self.order[kind + 's']), daemon=True).start()

    def repeat(self, kind, pause):
        number = 0
        while not self.halt.wait(pause):
            number += 1
            threading.Thread(target=self.make, args=(kind, number), daemon=True).start()

    def make(self, kind, number):
        key = f"{self.order['run']}/{self.order['pair']}/{kind}/{number}"
        client = self.one if number % 2 else self.anyone
        began, failure = time.time(), ''
        opened[key] = (self.order['pair'], key, kind, began)
        try:
            if kind == 'call':
                client.call({}, 'work', key=key)
            elif kind == 'cast':
                client.cast({}, 'note', key=key)
            else:
                self.all.cast({}, 'note', key=key)
        except Exception as error:
            failure = type(error).__name__
        ends.append((self.order['pair'], key, kind, began, time.time(), failure))
        del opened[key]


def load(order):
    made = Load(order)
    running.append(made.halt)
    made.start()


def unload(order):
    for halt in running:
        halt.set()
    running.clear()


def ended(order):
    return ends[order['from']:]


def version(order):
    return importlib.metadata.version('oslo.messaging')


def still_open(order):
    return list(opened.values())


if __name__ == '__main__':
    logging.basicConfig(level=logging.CRITICAL)
    cfg.CONF([], project='chaos')
    lines.serve({'serve': serve, 'executed': executed, 'load': load, 'unload': unload,
                 'ended': ended, 'open': still_open, 'version': version})
