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
  log     log an error on a logger with LoggingNotificationHandler and with
          PublishErrorsHandler: url, topic, publisher.
  request serve and make one HTTP request behind RequestNotifier: url, topic,
          publisher, service, method, path, headers; perhaps fails.
"""

import http.client
import json
import logging
import sys
import threading
from wsgiref import simple_server

try:
    from oslo_config import cfg
    import oslo_messaging
    from oslo_messaging.notify import middleware
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


def configure(order):
    """What upstream's handlers and middleware take from the configuration."""
    group = 'oslo_messaging_notifications'
    transport(order['url'])  # which registers the options
    cfg.CONF.set_override('transport_url', order['url'])
    cfg.CONF.set_override('driver', ['messagingv2'], group=group)
    cfg.CONF.set_override('topics', [order['topic']], group=group)


def log(order):
    configure(order)
    logger = logging.getLogger('shop.stock')
    logger.propagate = False
    for handler in (
            oslo_messaging.LoggingNotificationHandler(order['url'], order['publisher'], 'messagingv2', order['topic']),
            oslo_messaging.notify.PublishErrorsHandler()):
        logger.addHandler(handler)
    logger.error('disk full', extra={'extra': {'disk': 'sda'}})


class Silent(simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass


def request(order):
    configure(order)

    def app(environ, start_response):
        if order.get('fails'):
            raise ValueError('it broke')
        start_response('202 Accepted', [('X-Colour', 'red'), ('Content-Length', '5')])
        return [b'hello']

    wrapped = middleware.RequestNotifier.factory(
        {}, url=order['url'], publisher_id=order['publisher'], service_name=order['service'], ignore_req_list='put, head')(app)
    server = simple_server.make_server('127.0.0.1', 0, wrapped, handler_class=Silent)
    serving = threading.Thread(target=server.handle_request)
    serving.start()
    client = http.client.HTTPConnection('127.0.0.1', server.server_port)
    client.request(order['method'], order['path'], body='{"a":1}', headers=order['headers'])
    status = client.getresponse().status
    serving.join()
    server.server_close()
    return status


def main():
    logging.basicConfig(level=logging.ERROR)
    cfg.CONF([])
    lines.serve({'notify': notify, 'listen': listen, 'heard': heard, 'stop': stop, 'log': log, 'request': request})


main()
