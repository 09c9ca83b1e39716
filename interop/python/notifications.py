#!/usr/bin/python3
"""A notifier and listeners on the real oslo.messaging that do what a Go test orders, see lines.py.

Orders:
  notify  send one: url, driver, topic, publisher, priority, event, payload
          and context, which are JSON in a string.
  listen  start a listener under a name: url, topic, priorities, and perhaps
          pool, batch, requeue (how many times each one is given back first)
          and event, a filter.
  heard   answer what the listener of that name has got so far.
  stop    stop it.
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
listeners = {}
lock = threading.Lock()


def transport(url):
    with lock:
        if url not in transports:
            transports[url] = oslo_messaging.get_notification_transport(cfg.CONF, url)
        return transports[url]


def notify(order):
    notifier = oslo_messaging.Notifier(
        transport(order['url']), publisher_id=order['publisher'],
        driver=order['driver'], topics=[order['topic']], retry=5)
    method = getattr(notifier, order['priority'])
    for _ in range(order.get('times', 1)):
        method(json.loads(order['context']), order['event'], json.loads(order['payload']))


class Endpoint:
    def __init__(self, order):
        self.seen = {}
        self.requeue = order.get('requeue', 0)
        if 'event' in order:
            self.filter_rule = oslo_messaging.NotificationFilter(event_type=order['event'])
        self.heard = []
        for priority in order['priorities']:
            setattr(self, priority, self.hear_all(priority) if 'batch' in order else self.hear(priority))

    def hear(self, priority):
        def one(context, publisher, event, payload, metadata):
            with lock:
                times = self.seen[metadata['message_id']] = self.seen.get(metadata['message_id'], 0) + 1
                if times <= self.requeue:
                    return oslo_messaging.NotificationResult.REQUEUE
                self.heard.append({
                    'Priority': priority, 'Context': json.dumps(context), 'Publisher': publisher, 'Event': event,
                    'Payload': json.dumps(payload), 'ID': metadata['message_id'], 'Timestamp': metadata['timestamp'], 'Times': times})
        return one

    def hear_all(self, priority):
        def some(messages):
            with lock:
                self.heard.append({'Priority': priority, 'Batch': len(messages)})
        return some


def listen(order):
    endpoint = Endpoint(order)
    targets = [oslo_messaging.Target(topic=order['topic'])]
    arguments = dict(executor='threading', allow_requeue=True, pool=order.get('pool'))
    if 'batch' in order:
        listener = oslo_messaging.get_batch_notification_listener(
            transport(order['url']), targets, [endpoint], batch_size=order['batch'], batch_timeout=2, **arguments)
    else:
        listener = oslo_messaging.get_notification_listener(
            transport(order['url']), targets, [endpoint], **arguments)
    listener.start()
    with lock:
        listeners[order['name']] = (listener, endpoint)


def heard(order):
    with lock:
        return list(listeners[order['name']][1].heard)


def stop(order):
    with lock:
        listener, _ = listeners.pop(order['name'])
    listener.stop()
    listener.wait()


def main():
    logging.basicConfig(level=logging.ERROR)
    cfg.CONF([])
    lines.serve({'notify': notify, 'listen': listen, 'heard': heard, 'stop': stop})


main()
