"""The example service's objects. The Go tests declare the same ones."""

from oslo_versionedobjects import base
from oslo_versionedobjects import fields


class ShopObject(base.VersionedObject):
    OBJ_SERIAL_NAMESPACE = 'shop_object'
    OBJ_PROJECT_NAMESPACE = 'shop'


class Serializer(base.VersionedObjectSerializer):
    OBJ_BASE_CLASS = ShopObject


@base.VersionedObjectRegistry.register
class Item(ShopObject):
    VERSION = '1.1'
    fields = {
        'name': fields.StringField(),
        'size': fields.IntegerField(nullable=True),
    }

    def obj_make_compatible(self, primitive, target_version):
        super().obj_make_compatible(primitive, target_version)
        if older(target_version, (1, 1)):
            primitive.pop('size', None)


@base.VersionedObjectRegistry.register
class Order(ShopObject, base.TimestampedObject):
    VERSION = '1.2'
    fields = {
        'uuid': fields.UUIDField(read_only=True),
        'address': fields.IPAddressField(nullable=True),
        'network': fields.IPNetworkField(nullable=True),
        'state': fields.EnumField(['open', 'sent']),
        'tags': fields.ListOfStringsField(),
        'notes': fields.DictOfNullableStringsField(),
        'weight': fields.FloatField(),
        'paid': fields.BooleanField(default=False),
        'gift': fields.FlexibleBooleanField(),
        'card': fields.SensitiveStringField(nullable=True),
        'count': fields.IntegerField(default=1),
        'sizes': fields.ListOfSetsOfIntegersField(),
        'first': fields.ObjectField('Item', nullable=True),
        'items': fields.ListOfObjectsField('Item'),
        'shelves': fields.Field(fields.Dict(fields.Object('Item'))),
        'priority': fields.IntegerField(),
    }
    obj_relationships = {
        'first': [('1.1', '1.0'), ('1.2', '1.1')],
        'items': [('1.0', '1.0'), ('1.2', '1.1')],
    }

    def obj_make_compatible(self, primitive, target_version):
        super().obj_make_compatible(primitive, target_version)
        if older(target_version, (1, 2)):
            primitive.pop('priority', None)


@base.VersionedObjectRegistry.register
class OrderList(base.ObjectListBase, ShopObject):
    VERSION = '1.1'
    fields = {'objects': fields.ListOfObjectsField('Order')}


def older(version, than):
    return tuple(int(part) for part in version.split('.')) < than


def sample():
    """An order as it comes out of a database, and then changes."""
    order = Order(
        uuid='00000000-0000-4000-8000-000000000001', address='2001:db8::7', network='10.0.0.5/24', state='open', tags=['caf\u00e9', '<&>"\\'],
        notes={'b': 'x', 'a': None}, weight=2, paid=True, gift='yes', card=None, count='7', sizes=[{3}, set()],
        first=Item(name='lamp', size=None), items=[Item(name='a', size=1), Item(name='b')], shelves={'top': Item(name='c', size=3)}, priority=5,
        created_at='2026-01-02T03:04:05.678+05:30', updated_at=None)
    order.obj_reset_changes(recursive=True)
    order.first.size = 4
    order.count = 8
    return order


SAMPLES = {
    'order': sample,
    'sparse': lambda: Order(state='sent', card=None),
    'unloaded': Order,
    'item': lambda: Item(name='lamp', size=10 ** 12),
    'list': lambda: OrderList(objects=[sample(), Order()]),
    'list_empty': OrderList,
}
