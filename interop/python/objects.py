#!/usr/bin/python3
"""Objects of the real oslo.versionedobjects, see lines.py, shop/goods.py.

Orders:
  make      one of the samples.
  decode    what the library makes of a primitive: the primitive that it writes again, what changed, or the error.
  backport  the primitive at an older version: primitive, target, perhaps versions.
  tree      the versions of a name and of what it contains.
  start     serve the methods of Desk: url, topic, and conductor, the topic of one who knows newer versions.
  restock   call restock of a server with the sample order: url, topic.
"""

import sys

try:
    from oslo_config import cfg
    import oslo_messaging
    from oslo_versionedobjects import base
except ImportError as error:
    sys.exit(f'{error}: apt-get install -y python3-oslo.messaging python3-oslo.versionedobjects')

import lines
from shop import goods


def make(order):
    return goods.SAMPLES[order['sample']]().obj_to_primitive()


def guarded(function):
    def run(order):
        try:
            return function(order)
        except Exception as error:
            return {'error': type(error).__name__}
    return run


@guarded
def decode(order):
    obj = goods.Serializer().deserialize_entity(None, order['primitive'])
    if not isinstance(obj, goods.ShopObject):
        return {'error': 'no object'}
    return {'primitive': obj.obj_to_primitive(), 'changes': sorted(obj.obj_what_changed())}


@guarded
def backport(order):
    obj = goods.ShopObject.obj_from_primitive(order['primitive'])
    return {'primitive': obj.obj_to_primitive(order['target'], order.get('versions'))}


def tree(order):
    return base.obj_tree_get_versions(order['name'])


class Conductor(base.VersionedObjectIndirectionAPI):
    """Asks somebody who knows newer versions, as nova's serializer does."""

    def __init__(self, client):
        self.client = client

    def object_action(self, *args):
        raise NotImplementedError

    object_class_action = object_backport = object_action

    def object_backport_versions(self, context, objinst, object_versions):
        return self.client.call({}, 'object_backport_versions', objinst=objinst, object_versions=object_versions)


class Desk:
    def restock(self, ctxt, order):
        """Answers with the same object, changed."""
        order.count += 1
        order.first.name = order.first.name.upper()
        return order

    def all(self, ctxt, orders):
        """Takes objects within plain data."""
        return {'orders': goods.OrderList(objects=[order for order in orders['of'] if order.state == 'open'])}


servers = []


def client(order, topic):
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, order['url'])
    return oslo_messaging.get_rpc_client(transport, oslo_messaging.Target(topic=topic), serializer=goods.Serializer(), timeout=60)


def start(order):
    goods.ShopObject.indirection_api = Conductor(client(order, order['conductor']))
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, order['url'])
    target = oslo_messaging.Target(topic=order['topic'], server='desk')
    server = oslo_messaging.get_rpc_server(transport, target, [Desk()], executor='threading', serializer=goods.Serializer())
    server.start()
    servers.append(server)


def restock(order):
    answer = client(order, order['topic']).call({}, 'restock', order=goods.sample())
    return {'type': type(answer).__name__, 'primitive': answer.obj_to_primitive()}


if __name__ == '__main__':
    cfg.CONF([], project='interop')
    lines.serve({'make': make, 'decode': decode, 'backport': backport, 'tree': tree, 'start': start, 'restock': restock})
