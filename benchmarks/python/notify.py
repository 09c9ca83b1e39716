"""The benchmarks' notifier and listener on the real oslo.messaging.

notify.py URL BYTES: for each line on its input, prints notifications per second.

publish COUNT THREADS: sends so many, with a payload of so many bytes, confirmed as the driver does it.
listen COUNT BATCH: hears so many, one by one where BATCH is 1.
"""
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
        self.all = count
        self.begun = self.ended = None
        self.done = threading.Event()
        self.lock = threading.Lock()

    def took(self, n):
        with self.lock:
            now = time.monotonic()
            if self.begun is None:
                self.begun = now
            self.left -= n
            if self.left <= 0:
                self.ended = now
                self.done.set()

    def rate(self):
        return self.all / (self.ended - self.begun)


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


def publish(bus, count, threads, payload):
    notifier = oslo_messaging.Notifier(bus, driver="messagingv2", publisher_id="compute.host-1", topics=[TOPIC])

    def work():
        for _ in range(count // threads):
            notifier.info({}, "compute.instance.create.end", payload)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    started = time.monotonic()
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    return count // threads * threads / (time.monotonic() - started)


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
    return counter.rate()


if __name__ == "__main__":
    conf = cfg.CONF
    conf([])
    bus = oslo_messaging.get_notification_transport(conf, url=sys.argv[1])
    payload = {"instance": "x" * (int(sys.argv[2]) - len('{"instance": ""}'))}
    print("ready", flush=True)
    for line in sys.stdin:
        what, count, how = line.split()
        if what == "publish":
            print(publish(bus, int(count), int(how), payload), flush=True)
        else:
            print(listen(bus, int(count), int(how)), flush=True)
