#!/usr/bin/python3
"""Decode message bodies with the real oslo.messaging.

Reads one JSON string per line, which is a message body, and answers each with
one line of JSON: what the library's listener, or its reply waiter, makes of
the body. Nothing is sent; no broker is needed.
"""

import json
import logging
import sys
import types

import capture  # Says what to install when the library is missing.
import kombu.serialization
from oslo_messaging._drivers import amqp, amqpdriver, common


def request(message):
    context = amqp.unpack_context(message)
    unique_id = amqp._MsgIdCache().check_duplicate_message(message)
    return {
        'message': message,
        'context': context.to_dict(),
        'msg_id': context.msg_id,
        'reply_q': context.reply_q,
        'unique_id': unique_id,
    }


def reply(message):
    waiter = types.SimpleNamespace(
        msg_id_cache=amqp._MsgIdCache(),
        allowed_remote_exmods=['shop.errors'])
    answer = {'msg_id': message.pop('_msg_id', None)}
    result, answer['ending'] = amqpdriver.ReplyWaiter._process_reply(
        waiter, message)
    if isinstance(result, Exception):
        answer['exception'] = {
            'type': type(result).__name__,
            'module': type(result).__module__,
            'bases': [base.__name__ for base in type(result).__mro__],
            'text': str(result),
            'args': result.args,
            'kwargs': getattr(result, 'kwargs', None),
        }
    else:
        answer['result'] = result
    return answer


def decode(body):
    outer = kombu.serialization.loads(
        body.encode(), 'application/json', 'utf-8')
    message = common.deserialize_msg(outer)
    if 'method' in message:
        return request(message)
    return reply(message)


def main():
    logging.disable(logging.CRITICAL)
    capture.service_module()
    for line in sys.stdin:
        try:
            answer = decode(json.loads(line))
        except Exception as error:
            answer = {'error': repr(error)}
        print(json.dumps(answer, sort_keys=True), flush=True)


if __name__ == '__main__':
    main()
