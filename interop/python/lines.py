"""Orders and answers as JSON lines on standard input and output.

An order is an object with members id and op; its answer has the same id and
either ok, what the operation returned, or broken, why the program itself
could not do it. Orders run concurrently, each in a thread. The end of the
input is the end of the program.
"""

import json
import os
import sys
import threading
import traceback


def serve(operations):
    """Run the operations, a mapping of names to functions of an order."""
    output = threading.Lock()

    def answer(**members):
        line = json.dumps(members) + '\n'
        with output:
            sys.stdout.write(line)
            sys.stdout.flush()

    def obey(order):
        try:
            result = operations[order['op']](order)
        except BaseException:
            answer(id=order['id'], broken=traceback.format_exc())
        else:
            answer(id=order['id'], ok=result)

    for line in sys.stdin:
        threading.Thread(target=obey, args=(json.loads(line),), daemon=True).start()
    os._exit(0)  # without waiting for threads that talk to a broker that may be gone
