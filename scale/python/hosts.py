#!/usr/bin/python3
"""Compute hosts on the real oslo.messaging, a process each, which take the orders of scale/nova_test.go.

The first process imports, then forks one for each host: what they have in common they share, as Linux does for
processes started one by one as far as files are concerned. Each host is a nova-compute in small: a server with the
executor of threads, a client, and one thread that does the duties.
"""

import json
import os
import random
import sys
import threading
import time

try:
    from oslo_config import cfg
    import oslo_messaging
except ImportError as error:
    sys.exit(f'{error}: apt-get install -y python3-oslo.messaging')


class Compute:
    target = oslo_messaging.Target(version='6.3')

    def __init__(self, host):
        self.host = host

    def echo(self, ctxt, arg):
        self.host.note(lambda r: r.update(served=r['served'] + 1))
        return arg

    def refresh(self, ctxt, arg):
        now = time.time()
        self.host.note(lambda r: r.update(heard=r['heard'] + 1, last=max(r['last'], now)))


def blank():
    return {'calls': 0, 'casts': 0, 'failed': 0, 'latencies': [], 'served': 0, 'heard': 0, 'last': 0}


class Host:
    """One host, in a process of its own."""

    def __init__(self, number):
        self.name = 'host-%04d' % number
        self.lock = threading.Lock()
        self.report = blank()
        self.context = {}
        self.resting = threading.Event()
        self.thread = None

    def note(self, change):
        with self.lock:
            change(self.report)

    def start(self, order):
        cfg.CONF([], project='nova')
        self.transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=order['url'])
        self.clients = {}
        self.server = oslo_messaging.get_rpc_server(
            self.transport, oslo_messaging.Target(topic='compute', server=self.name),
            [Compute(self)], executor='threading')
        self.server.start()
        self.ask({'topic': 'conductor', 'method': 'object_class_action_versions', 'fanout': False,
                  'size': 400, 'answer': 300})

    def ask(self, duty):
        client = self.clients.get(duty['topic'])
        if client is None:
            version = '4.0' if duty['topic'] == 'scheduler' else '3.0'
            target = oslo_messaging.Target(topic=duty['topic'], version=version)
            client = self.clients[duty['topic']] = oslo_messaging.RPCClient(self.transport, target)
        args = {'object': 'x' * duty['size'], 'answer': duty['answer']}
        if duty['fanout']:
            client.prepare(fanout=True).cast(self.context, duty['method'], **args)
            return
        got = client.call(self.context, duty['method'], **args)
        if len(got) != duty['answer']:
            raise ValueError('%s answered %d bytes' % (duty['method'], len(got)))

    def work(self, order):
        self.context = order['context']
        self.note(lambda r: r.update(blank()))
        self.thread = threading.Thread(target=self.toil, args=(order['duties'],))
        self.thread.start()

    def toil(self, duties):
        due = [time.monotonic() + random.random() * d['every'] for d in duties]
        while True:
            i = due.index(min(due))
            if self.resting.wait(max(0, due[i] - time.monotonic())):
                return
            due[i] += duties[i]['every']
            began = time.monotonic()
            try:
                self.ask(duties[i])
            except Exception as error:  # whatever it is, the test wants to know
                self.note(lambda r: r.update(failed=r['failed'] + 1, why=repr(error)))
                continue
            took = time.monotonic() - began
            if duties[i]['fanout']:
                self.note(lambda r: r.update(casts=r['casts'] + 1))
            else:
                self.note(lambda r: (r['latencies'].append(took), r.update(calls=r['calls'] + 1)))

    def rest(self, order):
        self.resting.set()
        if self.thread:
            self.thread.join()

    def stop(self, order):
        self.server.stop()
        self.server.wait()
        self.transport.cleanup()

    def obey(self, order):
        if order['do'] != 'report':
            getattr(self, order['do'])(order)
        with self.lock:
            return dict(self.report)


def serve(number, orders, answers):
    host = Host(number)
    for line in orders:
        try:
            answer = host.obey(json.loads(line))
        except Exception as error:
            answer = dict(blank(), error=repr(error))
        print(json.dumps(answer), file=answers, flush=True)
    os._exit(0)


class Child:
    def __init__(self, number, others):
        order, self.orders = os.pipe()
        self.answers, answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.orders)
            os.close(self.answers)
            for other in others:
                other.orders.close()
                other.answers.close()
            serve(number, os.fdopen(order), os.fdopen(answer, 'w'))
        os.close(order)
        os.close(answer)
        self.orders, self.answers = os.fdopen(self.orders, 'w'), os.fdopen(self.answers)


def together(children):
    """The answers of all children as one."""
    total = blank()
    total['pids'] = [c.pid for c in children]
    for child in children:
        line = child.answers.readline()
        answer = json.loads(line) if line else {'error': 'process %d has ended' % child.pid}
        for key in ('calls', 'casts', 'failed', 'served', 'heard', 'latencies'):
            total[key] += answer.get(key, blank()[key])
        total['last'] = max(total['last'], answer.get('last', 0))
        for key in ('error', 'why'):
            if answer.get(key):
                total[key] = answer[key]
    return total


def main():
    children = []
    for line in sys.stdin:
        order = json.loads(line)
        if order['do'] == 'start':
            for i in range(order['count']):
                children.append(Child(order.get('first', 0) + i, children))
        for child in children:
            print(line, end='', file=child.orders, flush=True)
        print(json.dumps(together(children)), flush=True)
    for child in children:
        child.orders.close()
    for child in children:
        os.waitpid(child.pid, 0)


if __name__ == '__main__':
    main()
