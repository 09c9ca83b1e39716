#!/usr/bin/python3
"""A client on the real oslo.messaging that does what a Go test orders, see lines.py.

Orders:
  call, cast   make one; the members are those of a target, of prepare(), and
               method, args and context, which are JSON in a string (Python
               knows numbers that JSON does not). The answer describes the
               outcome.
  can_send     ask can_send_version(version) of a client with a version cap.
  together     make several calls at once, from as many threads, and answer
               with the outcomes in their order.
"""

import json
import logging
import sys
import threading

try:
    from oslo_config import cfg
    import oslo_messaging
except ImportError as error:
    sys.exit(f'{error}: apt-get install -y python3-oslo.messaging')

import lines

transports = {}
transports_lock = threading.Lock()


def transport(order):
    """One transport, and so one reply queue, per URL and list of allowed modules."""
    allowed = order.get('allowed', ['shop.errors'])
    key = (order['url'], tuple(allowed))
    with transports_lock:
        if key not in transports:
            transports[key] = oslo_messaging.get_rpc_transport(
                cfg.CONF, order['url'], allowed_remote_exmods=allowed)
        return transports[key]


def client(order):
    """The client that the order describes: a target, and what prepare() changes."""
    fields = ('exchange', 'topic', 'namespace', 'version', 'server', 'fanout')
    target = oslo_messaging.Target(**{f: order[f] for f in fields if f in order})
    settings = {}
    if order.get('mandatory'):
        settings['transport_options'] = oslo_messaging.TransportOptions(at_least_once=True)
    made = oslo_messaging.get_rpc_client(
        transport(order), target, version_cap=order.get('cap'),
        call_monitor_timeout=order.get('monitor'), **settings)
    return made.prepare(**order.get('prepare', {}))


def text_and_trace(text):
    """Split a text in which oslo.messaging has put a traceback behind the message."""
    for mark in ('\nTraceback', '\\nTraceback', "\n['Traceback", '\n[', '\\n['):
        if mark in text:
            before, _, after = text.partition(mark)
            return before, mark + after
    return text, ''


def describe(error):
    """What a program can see of an exception, without what differs from run to run."""
    # A builtin has the traceback in its first argument, and perhaps a text with that argument's repr.
    traced_args = [a for a in error.args if isinstance(a, str) and 'Traceback' in a]
    text, trace = text_and_trace(traced_args[0] if traced_args else str(error))
    traceback = getattr(error, 'traceback', None)
    if not isinstance(traceback, list):
        traceback = [line for line in trace.replace('\\n', '\n').splitlines() if line]
    last = traceback[-1].strip() if traceback else ''
    described = {
        'module': type(error).__module__,
        'class': type(error).__name__,
        'bases': [f'{c.__module__}.{c.__name__}' for c in type(error).__mro__[1:]],
        'args': [text_and_trace(a)[0] if isinstance(a, str) else a for a in error.args],
        'text': text,
        'traced': any('Traceback (most recent call last):' in line for line in traceback),
        'last': last,
    }
    for name in ('exc_type', 'value', 'kwargs', 'method', 'version', 'version_cap', 'routing_key'):
        if hasattr(error, name):
            described[name] = getattr(error, name)
    return described


def outcome(function):
    """The result as JSON text, or the exception."""
    try:
        return {'value': json.dumps(function(), sort_keys=True)}
    except Exception as error:
        return {'error': json.dumps(describe(error), sort_keys=True, default=str)}


def request(order, kind):
    def make():
        made = client(order)
        context, args = json.loads(order.get('context', '{}')), json.loads(order.get('args', '{}'))
        return getattr(made, kind)(context, order['method'], **args)
    return outcome(make)


def call(order):
    return request(order, 'call')


def cast(order):
    return request(order, 'cast')


def can_send(order):
    def ask():
        made = client(order)
        return made.can_send_version(order['ask']) if 'ask' in order else made.can_send_version()
    return outcome(ask)


def together(order):
    outcomes = [None] * len(order['calls'])

    def make(i):
        outcomes[i] = request({**order, **order['calls'][i]}, 'call')

    threads = [threading.Thread(target=make, args=(i,)) for i in range(len(outcomes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


if __name__ == '__main__':
    logging.basicConfig(level=logging.WARNING)
    cfg.CONF([], project='interop')
    lines.serve({'call': call, 'cast': cast, 'can_send': can_send, 'together': together})
