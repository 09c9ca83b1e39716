#!/usr/bin/python3
"""Capture bodies of notifications as the real oslo.messaging writes them.

The library's notifier sends over kombu's in-memory transport, by the drivers of
both formats, and every body is recorded. No broker is needed. The bodies become
the golden files of notifications in package wire, byte for byte:

    /usr/bin/python3 interop/capture/notifications.py wire/testdata/notifications

Ids come from a seeded generator and times from a fixed clock, so that a second
run writes the same files.

With the argument --decode it reads one JSON string per line instead, which is a
body, and answers each with one line of JSON: what the library's listener hands
to an endpoint.
"""

import datetime
import json
import logging
import pathlib
import sys
import types

import capture  # Says what to install when the library is missing.
import kombu.serialization
from oslo_config import cfg
import oslo_messaging
from oslo_messaging._drivers import amqp, amqpdriver, common
from oslo_messaging.notify import dispatcher
from oslo_messaging.notify import notifier as notify

PRIORITIES = ['audit', 'debug', 'info', 'warn', 'error', 'critical', 'sample']

FORMATS = {'bare': 'messaging', 'enveloped': 'messagingv2'}


class Clock:
    def __init__(self):
        self.now = datetime.datetime(2026, 5, 4, 10, 11, 12, 345)

    def utcnow(self):
        return self.now


def write(folder):
    recorder = capture.Recorder()
    ids = types.SimpleNamespace(uuid4=capture.seeded_ids(7))
    amqp.uuid = amqpdriver.uuid = notify.uuid = ids
    clock = notify.timeutils = Clock()
    conf = cfg.CONF
    conf([], project='capture')
    transport = oslo_messaging.get_notification_transport(
        conf, 'kombu+memory:////')

    for form, driver in FORMATS.items():
        sender = oslo_messaging.Notifier(
            transport, publisher_id='inventory.host-3', driver=driver,
            topics=['notifications'])

        def take(name, context, event, payload, by=sender, method='info'):
            getattr(by, method)(context, event, payload)
            [body] = recorder.take(1)
            (folder / f'{form}-{name}.json').write_bytes(body)

        for priority in PRIORITIES:
            take(priority, {}, 'item.sold', {'sku': 7}, method=priority)
        take('warning', {}, 'item.sold', {'sku': 7}, method='warning')
        take('context', capture.REQUEST_CONTEXT, 'item.sold', {})
        take('text', {}, 'item.\u00e9\U0001f600', capture.ANSWERS['text'])
        take('null', {}, 'item.sold', None)
        take('numbers', {}, 'item.sold', capture.ANSWERS['numbers'])
        take('non-finite', {}, 'item.sold', capture.ANSWERS['non-finite'])
        take('nested', {}, 'item.sold', capture.ANSWERS['nested'])
        take('nobody', {}, 'item.sold', {}, by=oslo_messaging.Notifier(
            transport, driver=driver, topics=['notifications']))
        clock.now = clock.now.replace(microsecond=0)
        take('whole-second', {}, 'item.sold', {})
        clock.now = clock.now.replace(microsecond=345)
    transport.cleanup()


def decode(body):
    outer = kombu.serialization.loads(
        body.encode(), 'application/json', 'utf-8')
    message = common.deserialize_msg(outer)
    context = amqp.unpack_context(message)
    unique_id = amqp._MsgIdCache().check_duplicate_message(message)
    incoming = types.SimpleNamespace(message=message, ctxt=context.to_dict())
    reader = dispatcher.NotificationDispatcher(
        [], oslo_messaging.NoOpSerializer())
    priority, _, told = reader._extract_user_message(incoming)
    return {'priority': priority, 'unique_id': unique_id, **told}


def main():
    logging.disable(logging.CRITICAL)
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] != '--decode':
        write(pathlib.Path(sys.argv[1]))
        return
    for line in sys.stdin:
        try:
            answer = decode(json.loads(line))
        except Exception as error:
            answer = {'error': repr(error)}
        print(json.dumps(answer, sort_keys=True), flush=True)


if __name__ == '__main__':
    main()
