#!/usr/bin/python3
"""Capture message bodies as the real oslo.messaging writes them.

A client and a server of the library talk to each other in this process, over
kombu's in-memory transport, and every body that they publish is recorded. No
broker is needed. The bodies become the golden files of package wire, one per
message kind, byte for byte:

    /usr/bin/python3 interop/capture/capture.py wire/testdata/golden

Ids are drawn from a seeded generator, exceptions are raised from code with a
made-up file name, and tracebacks quote no source lines, so that a second run
writes the same files.
"""

import datetime
import ipaddress
import linecache
import logging
import pathlib
import random
import sys
import threading
import types
import uuid

try:
    import kombu.messaging
    from oslo_config import cfg
    import oslo_messaging
    from oslo_messaging._drivers import amqp, amqpdriver
    from oslo_messaging.rpc import dispatcher
except ImportError as error:
    sys.exit(f'{error}: apt-get install python3-oslo.messaging')

TOPIC = 'inventory'

# The service whose failures are captured. It is compiled under a file name of
# its own, because tracebacks name files.
SERVICE = '''
class OutOfStock(Exception):
    def __init__(self, message=None, **kwargs):
        super().__init__(message)
        self.kwargs = kwargs


class Plain(Exception):
    pass


class Manager:
    def __init__(self, release):
        self.release = release

    def give(self, ctxt, value):
        return value

    def answer(self, ctxt, name):
        return ANSWERS[name]

    def restock(self, ctxt, **kwargs):
        pass

    def slow(self, ctxt):
        self.release.wait(30)
        return 'at last'

    def builtin(self, ctxt):
        raise ValueError('bad quantity', 2)

    def key_error(self, ctxt):
        raise KeyError('sku')

    def chained(self, ctxt):
        try:
            raise Plain('the cause')
        except Plain as cause:
            raise RuntimeError('the effect') from cause

    def custom(self, ctxt):
        raise OutOfStock('none left of "caf\\u00e9" \\U0001f600', sku=7, why=None)

    def no_arguments(self, ctxt):
        raise Plain()

    def many_arguments(self, ctxt):
        raise Plain('a', 1, None, [True, {'b': 2.5}])

    def passed_on(self, ctxt):
        raise REMOTE
'''


def service_module():
    module = types.ModuleType('shop.errors')
    sys.modules['shop'] = types.ModuleType('shop')
    sys.modules['shop.errors'] = module
    code = compile(SERVICE, '/opt/shop/errors.py', 'exec')
    exec(code, module.__dict__)
    return module


def seeded_ids(seed):
    generator = random.Random(seed)

    def uuid4():
        return uuid.UUID(int=generator.getrandbits(128), version=4)
    return uuid4


class Recorder:
    """Records what kombu hands to its channels."""

    def __init__(self):
        self.bodies = []
        self.changed = threading.Condition()
        publish = kombu.messaging.Producer._publish

        def recording(producer, body, *args, **kwargs):
            with self.changed:
                text = body if isinstance(body, bytes) else body.encode()
                self.bodies.append(text)
                self.changed.notify_all()
            return publish(producer, body, *args, **kwargs)
        kombu.messaging.Producer._publish = recording

    def take(self, count):
        """Wait until so many bodies were published, and return them."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.bodies) >= count, 30):
                sys.exit(f'{count} bodies expected, got {self.bodies}')
            bodies, self.bodies = self.bodies, []
        if len(bodies) != count:
            sys.exit(f'{count} bodies expected, got {bodies}')
        return bodies


# Results, by the name of the golden file that holds the reply.
ANSWERS = {
    'null': None,
    'zero': 0,
    'false': False,
    'empty-list': [],
    'empty-object': {},
    'empty-string': '',
    'text': 'caf\u00e9 \U0001f600 "quoted" back\\slash / tab\t newline\n del\x7f',
    'nested': {'left': 3, 'rows': [[1, 2.5, None], {'deep': {'er': [True]}}]},
    'numbers': [2**63, -2**80, 1e22, 1e-7, -0.0, 0.1],
    'non-finite': [float('nan'), float('inf'), {'low': float('-inf')}],
    'dates': [datetime.datetime(2020, 1, 2, 3, 4, 5),
              datetime.datetime(2020, 1, 2, 3, 4, 5, 6)],
    'values': [uuid.UUID(int=1), (1, 2), {'only'}, b'caf\xc3\xa9',
               ipaddress.ip_address('192.0.2.1'), ValueError('as a value')],
}

# What nova, cinder and their like send along.
REQUEST_CONTEXT = {
    'user': '7d1bb4a4c4a54e0d8f4d8a3f3a8c1f10',
    'project_id': '0c2a9ad5f7bc4f3a8a2d6b3d9c3c8a55',
    'system_scope': None,
    'domain': None,
    'user_domain': 'default',
    'is_admin': True,
    'read_only': False,
    'auth_token': 'gAAAAABl-not-a-token',
    'request_id': 'req-3f1d7a0e-4a5e-4d0e-9c39-2f3c2a3b1d77',
    'resource_uuid': None,
    'roles': ['member', 'reader'],
    'timestamp': '2026-05-01T10:11:12.131415',
    'service_catalog': [{'type': 'volumev3', 'endpoints': [{'region': 'r1'}]}],
    'quota': 12345678901234567890123,
}

ODD_CONTEXT = {
    '': 'empty key',
    'caf\u00e9 \U0001f600': 'unicode key',
    'with "quotes" and \\': None,
    'nested': {'a': [{'b': None}, []], '_context_c': {}},
    'nan': float('nan'),
    '_context_again': 1,
    'msg_id': 'hidden',
    'reply_q': 'hidden',
    'client_timeout': 'hidden',
}


class Capture:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.recorder = Recorder()
        self.service = service_module()
        self.service.ANSWERS = ANSWERS
        ids = types.SimpleNamespace(uuid4=seeded_ids(14))
        amqp.uuid = ids
        amqpdriver.uuid = ids

        # The metrics of the library know no other configuration object.
        conf = cfg.CONF
        conf([], project='capture')
        self.transport = oslo_messaging.get_rpc_transport(
            conf, 'kombu+memory:////',
            allowed_remote_exmods=['shop.errors'])
        self.release = threading.Event()
        manager = self.service.Manager(self.release)
        target = oslo_messaging.Target(topic=TOPIC, server='host-1')
        manager.target = oslo_messaging.Target(namespace='stock', version='2.3')
        plain = self.service.Manager(self.release)
        self.server = oslo_messaging.get_rpc_server(
            self.transport, target, [plain, manager], executor='threading',
            access_policy=dispatcher.DefaultRPCAccessPolicy)
        self.server.start()

    def stop(self):
        self.server.stop()
        self.server.wait()
        self.transport.cleanup()

    def client(self, **target):
        return oslo_messaging.get_rpc_client(
            self.transport, oslo_messaging.Target(topic=TOPIC, **target),
            timeout=30)

    def write(self, name, body):
        (self.folder / f'{name}.json').write_bytes(body)

    def cast(self, name, context, args, **target):
        self.client(**target).cast(context, 'restock', **args)
        [body] = self.recorder.take(1)
        self.write('cast-' + name, body)

    def call(self, name, context, args, monitor=None, **target):
        client = self.client(**target)
        if monitor is not None:
            client = client.prepare(call_monitor_timeout=monitor)
        client.call(context, 'restock', **args)
        request, _ = self.recorder.take(2)
        self.write('call-' + name, request)

    def reply(self, name):
        self.client().call({}, 'answer', name=name)
        _, reply = self.recorder.take(2)
        self.write('reply-' + name, reply)

    def failure(self, name, method, **target):
        try:
            self.client(**target).call({}, method)
        except Exception as error:
            _, reply = self.recorder.take(2)
            self.write('failure-' + name, reply)
            return error
        sys.exit(f'{method} did not fail')

    def heartbeat(self):
        result = []
        client = self.client().prepare(call_monitor_timeout=6)
        caller = threading.Thread(
            target=lambda: result.append(client.call({}, 'slow')))
        caller.start()
        _, beat = self.recorder.take(2)
        self.release.set()
        caller.join()
        if result != ['at last']:
            sys.exit(f'the monitored call returned {result}')
        self.recorder.take(1)
        self.write('heartbeat', beat)

    def run(self):
        self.cast('plain', {}, {})
        self.cast('version', {'user': 'ann'}, {'sku': 7}, version='2.1',
                  namespace='stock')
        self.cast('fanout', {'user': 'ann'}, {'sku': 7}, fanout=True)
        self.cast('null-values', {'user': None}, {'sku': None})
        self.cast('unicode', {}, {
            'text': ANSWERS['text'],
            'caf\u00e9': '\u2028 \ufeff \uffff',
            'control': ''.join(map(chr, range(32))),
            'lone': 'high \ud83d low \ude00 swapped \ude00\ud83d',
        })
        self.cast('numbers', {}, {
            'numbers': ANSWERS['numbers'],
            'non_finite': ANSWERS['non-finite'],
        })
        self.cast('values', {}, {
            'dates': ANSWERS['dates'],
            'values': ANSWERS['values'],
            'keys': {1: 'int', None: 'null', True: 'true', 2.5: 'float'},
        })
        self.call('plain', {}, {})
        self.call('context', REQUEST_CONTEXT, {'sku': 7}, version='2.1',
                  namespace='stock')
        self.call('odd-context', ODD_CONTEXT, {})
        self.call('monitor', {}, {}, monitor=10)
        self.call('monitor-fraction', {}, {}, monitor=2.5)
        for name in ANSWERS:
            self.reply(name)
        self.heartbeat()
        self.failure('builtin', 'builtin')
        self.failure('key-error', 'key_error')
        self.failure('chained', 'chained')
        self.failure('no-arguments', 'no_arguments')
        self.failure('many-arguments', 'many_arguments')
        self.failure('no-such-method', 'nothing_like_it')
        self.failure('unsupported-version', 'restock', version='9.9')
        remote = self.failure('custom', 'custom')
        self.service.REMOTE = remote.with_traceback(None)
        self.failure('passed-on', 'passed_on')


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    logging.disable(logging.CRITICAL)
    linecache.getline = lambda *args: ''
    capture = Capture(sys.argv[1])
    try:
        capture.run()
    finally:
        capture.stop()


if __name__ == '__main__':
    main()
