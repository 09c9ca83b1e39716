"""A notifier and a listener on the real oslo.messaging.

notify.py URL BYTES: for each line on its input, prints what it did as JSON.

publish SECONDS THREADS MULTIPLE: sends for so long, with a payload of so many bytes, confirmed as the driver does it;
and then some more, until it has sent a multiple of that many.
listen COUNT BATCH: hears so many, one by one where BATCH is 1. The rate counts from the first on.
"""
import json
import sys
import threading
import time

import oslo_messaging
from oslo_config import cfg

TOPIC = "pybench"


class Counter:
    """Counts until all are there."""

    def __init__(self, count):
        self.left = count
        self.first = 0
        self.all = count
        self.begun = self.ended = None
        self.done = threading.Event()
        self.lock = threading.Lock()

    def took(self, messages):
        with self.lock:
            now = time.monotonic()
            if self.begun is None:
                self.begun = now
                self.first = messages
            self.left -= messages
            if self.left <= 0:
                self.ended = now
                self.done.set()

    def rate(self):
        return (self.all - self.first) / max(self.ended - self.begun, 1e-6)


class One:
    def __init__(self, counter):
        self.counter = counter

    def info(self, ctxt, publisher_id, event_type, payload, metadata):
        self.counter.took(1)


class Many:
    def __init__(self, counter):
        self.counter = counter

    def info(self, messages):
        self.counter.took(len(messages))


def publish(notifier, payload, seconds, threads, multiple):
    started = time.monotonic()
    spent = [[] for _ in range(threads)]

    def work(mine):
        ended = time.monotonic()
        while not mine or ended < started + seconds:
            began = ended
            notifier.info({}, "compute.instance.create.end", payload)
            ended = time.monotonic()
            mine.append(ended - began)

    workers = [threading.Thread(target=work, args=(mine,)) for mine in spent]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    took = time.monotonic() - started
    every = sorted(x for mine in spent for x in mine)
    for _ in range(-len(every) % multiple):
        notifier.info({}, "compute.instance.create.end", payload)
    return {"count": len(every), "per_second": len(every) / took, "queued": len(every) + -len(every) % multiple,
            "p50": every[len(every) // 2], "p99": every[len(every) * 99 // 100]}


def listen(bus, count, batch):
    counter = Counter(count)
    targets = [oslo_messaging.Target(topic=TOPIC)]
    if batch > 1:
        listener = oslo_messaging.get_batch_notification_listener(
            bus, targets, [Many(counter)], executor="threading", batch_size=batch, batch_timeout=1)
    else:
        listener = oslo_messaging.get_notification_listener(bus, targets, [One(counter)], executor="threading")
    listener.start()
    counter.done.wait()
    listener.stop()
    listener.wait()
    return {"count": count, "per_second": counter.rate()}


if __name__ == "__main__":
    conf = cfg.CONF
    conf([])
    bus = oslo_messaging.get_notification_transport(conf, url=sys.argv[1])
    notifier = oslo_messaging.Notifier(bus, driver="messagingv2", publisher_id="compute.host-1", topics=[TOPIC])
    payload = {"instance": "x" * (int(sys.argv[2]) - len('{"instance": ""}'))}
    print("ready", flush=True)
    for line in sys.stdin:
        what, *how = line.split()
        if what == "publish":
            did = publish(notifier, payload, float(how[0]), int(how[1]), int(how[2]))
        else:
            did = listen(bus, int(how[0]), int(how[1]))
        print(json.dumps(did), flush=True)
