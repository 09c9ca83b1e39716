#!/usr/bin/python3
"""Capture objects as the real nova writes them, for the tests of package objects.

    apt-get install --no-install-recommends python3-nova
    /usr/bin/python3 interop/capture/nova_objects.py objects/testdata/nova

Each file is one object's primitive. schema.json says what nova declares of each
class, backports.json what nova makes of objects for older peers. The tests need
the files only, not nova. All values are made up and fixed; sets, whose order
differs from run to run, are sorted.
"""

import datetime
import json
import pathlib
import sys

try:
    from nova import objects
except ImportError as error:
    sys.exit(f'{error}: apt-get install --no-install-recommends python3-nova')

from nova.network import model
from nova.objects import base
from nova.objects import fields
from oslo_versionedobjects import base as ovo
from oslo_versionedobjects import fields as ovo_fields

objects.register_all()

NOON = datetime.datetime(2026, 1, 2, 12, 0, 5, 987654)
PLACE = datetime.timezone(datetime.timedelta(hours=5, minutes=30), '+05:30')


def uuid(n):
    return '00000000-0000-4000-8000-%012d' % n


def loaded(obj):
    """As it comes out of the database: nothing has changed."""
    obj.obj_reset_changes(recursive=True)
    return obj


def flavor(**more):
    return loaded(objects.Flavor(
        id=7, name='m1.small', memory_mb=2048, vcpus=2, root_gb=20, ephemeral_gb=0, flavorid='42', swap=0, rxtx_factor=1.0,
        vcpu_weight=None, disabled=False, is_public=True, extra_specs={'hw:cpu_policy': 'dedicated', 'note': 'caf\u00e9 <&> "q"'},
        projects=[], description=None, created_at=NOON, updated_at=None, deleted_at=None, deleted=False, **more))


def numa():
    cells = [objects.InstanceNUMACell(
        id=n, cpuset=set(), pcpuset={2 * n, 2 * n + 1}, memory=1024, pagesize=2048, cpu_pinning_raw={'0': 4, '1': 5}, cpu_policy='dedicated',
        cpu_thread_policy='prefer', cpuset_reserved=None) for n in range(2)]
    return objects.InstanceNUMATopology(instance_uuid=uuid(1), cells=cells, emulator_threads_policy=None)


def pci_requests():
    return objects.InstancePCIRequests(instance_uuid=uuid(1), requests=[objects.InstancePCIRequest(
        count=1, spec=[{'vendor_id': '8086', 'product_id': '1572', 'capabilities': None}], alias_name='nic', is_new=False, request_id=uuid(30),
        requester_id=None, numa_policy='preferred')])


def image():
    return objects.ImageMeta(
        id=uuid(20), name='debian', status='active', visibility='public', protected=False, checksum='d41d8cd98f00b204e9800998ecf8427e',
        owner='admin', size=4294967296, virtual_size=8589934592, container_format='bare', disk_format='qcow2', created_at=NOON,
        updated_at=NOON.replace(tzinfo=PLACE), tags=['a', 'b'], direct_url='rbd://x', min_ram=0, min_disk=1,
        properties=objects.ImageMetaProps(
            hw_architecture='x86_64', hw_boot_menu='yes', hw_cdrom_bus='sata', hw_cpu_cores=2, hw_cpu_policy='dedicated', hw_disk_bus='virtio',
            hw_vif_model='virtio', hw_video_ram=16, os_type='linux', img_bdm_v2=True, img_version=1,
            hw_numa_nodes=2, hw_numa_cpus=[{0, 1}, {2, 3}], hw_numa_mem=[1024, 1024], hw_qemu_guest_agent='off'))


def network_info():
    address = model.FixedIP(address='10.0.0.3', version=4, floating_ips=[])
    subnet = model.Subnet(cidr='10.0.0.0/24', ips=[address], gateway=model.IP(address='10.0.0.1', version=4), version=4)
    return model.NetworkInfo([model.VIF(
        id=uuid(40), address='fa:16:3e:00:00:01', network=model.Network(id=uuid(41), bridge='br-int', label='net', subnets=[subnet], mtu=1450),
        type='ovs', devname='tap0', active=True, vnic_type='normal', profile={}, details={'port_filter': True})])


def instance(**more):
    obj = objects.Instance(
        id=3, user_id='ann', project_id='shop', image_ref=uuid(20), kernel_id='', ramdisk_id='', hostname='web-1', launch_index=0, key_name=None,
        key_data=None, power_state=1, vm_state='active', task_state=None, memory_mb=2048, vcpus=2, root_gb=20, ephemeral_gb=0,
        ephemeral_key_uuid=None, host='node-1', node='node-1.example', instance_type_id=7, user_data=None, reservation_id='r-abcdefgh',
        launched_at=NOON, terminated_at=None, availability_zone='nova', display_name='web 1', display_description='', launched_on='node-1',
        locked=False, locked_by=None, os_type=None, architecture='x86_64', vm_mode=None, uuid=uuid(1), root_device_name='/dev/vda',
        default_ephemeral_device=None, default_swap_device=None, config_drive='', access_ip_v4='192.0.2.7', access_ip_v6='2001:db8::7',
        auto_disk_config=True, progress=0, shutdown_terminate=False, disable_terminate=False, cell_name=None, metadata={'role': 'web'},
        system_metadata={'boot_roles': 'member', 'image_base': None}, cleaned=False, hidden=False, created_at=NOON, updated_at=NOON,
        deleted_at=None, deleted=False, flavor=flavor(), old_flavor=None, new_flavor=None, numa_topology=numa(), pci_requests=pci_requests(),
        info_cache=objects.InstanceInfoCache(instance_uuid=uuid(1), network_info=network_info(), created_at=NOON, updated_at=None,
                                             deleted_at=None, deleted=False),
        security_groups=objects.SecurityGroupList(objects=[objects.SecurityGroup(name='default', uuid=uuid(50))]),
        tags=objects.TagList(objects=[objects.Tag(resource_id=uuid(1), tag='blue')]),
        keypairs=objects.KeyPairList(objects=[]), trusted_certs=objects.TrustedCerts(ids=['a', 'b']), migration_context=None, fault=None,
        vcpu_model=None, device_metadata=None, pci_devices=objects.PciDeviceList(objects=[]),
        services=objects.ServiceList(objects=[objects.Service(
            id=1, host='node-1', binary='nova-compute', topic='compute', report_count=12, disabled=False, disabled_reason=None,
            last_seen_up=NOON, forced_down=False, uuid=uuid(60))]),
        resources=objects.ResourceList(objects=[objects.Resource(provider_uuid=uuid(70), resource_class='CUSTOM_X', identifier='x0')]))
    loaded(obj)
    for name, value in more.items():
        setattr(obj, name, value)
    return obj


def migration():
    obj = loaded(objects.Migration(
        id=9, uuid=uuid(80), source_compute='node-1', dest_compute='node-2', source_node='node-1.example', dest_node='node-2.example', dest_host='192.0.2.2',
        old_instance_type_id=7, new_instance_type_id=7, instance_uuid=uuid(1), status='preparing', migration_type='live-migration', hidden=False,
        memory_total=None, memory_processed=None, memory_remaining=None, disk_total=None, disk_processed=None, disk_remaining=None,
        cross_cell_move=False, user_id='ann', project_id='shop', created_at=NOON, updated_at=None))
    obj.status = 'running'
    return obj


def vif():
    return objects.VIFMigrateData(
        port_id=uuid(40), vnic_type='normal', vif_type='ovs', vif_details_json='{"port_filter": true}', profile_json='{}', host='node-2',
        source_vif=network_info()[0])


def migrate_data():
    return objects.LibvirtLiveMigrateData(
        is_volume_backed=False, migration=migration(), old_vol_attachment_ids={uuid(90): uuid(91)}, wait_for_vif_plugged=True, vifs=[vif()],
        filename='tmpx', image_type='default', block_migration=True, disk_over_commit=False, disk_available_mb=None, is_shared_instance_path=False,
        is_shared_block_storage=False, instance_relative_path=uuid(1), graphics_listen_addr_vnc='127.0.0.1', graphics_listen_addr_spice='::',
        serial_listen_addr='', serial_listen_ports=[10000, 10001],
        bdms=[objects.LibvirtLiveMigrateBDMInfo(serial=uuid(90), bus='virtio', dev='vdb', type='disk', format=None, boot_index=None,
                                                connection_info_json='{}', encryption_secret_uuid=None)],
        target_connect_addr='192.0.2.2', supported_perf_events=[], src_supports_native_luks=True, dst_wants_file_backed_memory=False,
        src_supports_numa_live_migration=True, dst_supports_numa_live_migration=True,
        dst_numa_info=objects.LibvirtLiveMigrateNUMAInfo(cpu_pins={'0': {4}}, cell_pins={'0': {1}}, emulator_pins={4}, sched_vcpus=set(), sched_priority=1))


def block_device(**more):
    return loaded(objects.BlockDeviceMapping(
        id=5, uuid=uuid(100), instance_uuid=uuid(1), source_type='volume', destination_type='volume', guest_format=None, device_type='disk',
        disk_bus='virtio', boot_index=0, device_name='/dev/vda', delete_on_termination=False, snapshot_id=None, volume_id=uuid(90), volume_size=20,
        image_id=None, no_device=False, connection_info='{"data": {"auth_password": "made-up"}}', tag=None, attachment_id=uuid(91),
        volume_type=None, encrypted=False, encryption_secret_uuid=None, encryption_format=None, encryption_options=None, created_at=NOON, updated_at=None,
        deleted_at=None, deleted=False, **more))


def network_requests():
    return objects.NetworkRequestList(objects=[
        objects.NetworkRequest(network_id=uuid(41), address='10.0.0.3', port_id=None, pci_request_id=None, tag=None, arq_uuid=None, device_profile=None),
        objects.NetworkRequest(network_id='auto')])


def request_spec():
    return objects.RequestSpec(
        id=11, image=image(), numa_topology=numa(), pci_requests=pci_requests(), project_id='shop', user_id='ann', availability_zone='nova', flavor=flavor(),
        num_instances=1, ignore_hosts=['node-9'], force_hosts=None, force_nodes=None, retry=objects.SchedulerRetries(
            num_attempts=1, hosts=objects.ComputeNodeList(objects=[objects.ComputeNode(host='node-1', hypervisor_hostname='node-1.example')])),
        limits=objects.SchedulerLimits(numa_topology=None, vcpu=16.0, disk_gb=None, memory_mb=65536),
        instance_group=objects.InstanceGroup(id=1, user_id='ann', project_id='shop', uuid=uuid(110), name='apart', policies=['anti-affinity'], members=[uuid(1)],
                                             hosts=['node-1'], policy='anti-affinity', rules={'max_server_per_host': '2'}),
        scheduler_hints={'group': [uuid(110)]}, instance_uuid=uuid(1),
        security_groups=objects.SecurityGroupList(objects=[objects.SecurityGroup(name='default')]),
        requested_destination=objects.Destination(
            host='node-2', node=None, cell=objects.CellMapping(id=1, uuid=uuid(120), name='cell1', transport_url='rabbit://', database_connection='sqlite://',
                                                               disabled=False), allow_cross_cell_move=False),
        network_metadata=objects.NetworkMetadata(physnets={'physnet0'}, tunneled=False), is_bfv=False, requested_networks=network_requests(),
        requested_resources=[objects.RequestGroup(resources={'NET_BW_EGR_KILOBIT_PER_SEC': 1000}, required_traits={'CUSTOM_PHYSNET_2'}, requester_id=uuid(40),
                                                  use_same_provider=True, provider_uuids=[uuid(130)])],
        request_level_params=objects.RequestLevelParams(root_required={'A'}, same_subtree=[['_a', '_b']]))


def stale_instance():
    obj = instance()
    obj.VERSION = '2.6'
    del obj.resources
    return obj


def fixed(primitive):
    """Sets come as tuples, and changes are in no order."""
    if isinstance(primitive, dict):
        return {key: sorted(value) if key.endswith('.changes') else fixed(value) for key, value in primitive.items()}
    if isinstance(primitive, tuple):
        return sorted(fixed(value) for value in primitive)
    if isinstance(primitive, list):
        return [fixed(value) for value in primitive]
    return primitive


def schema(name):
    cls = base.NovaObjectRegistry.obj_classes()[name][0]
    declared = {}
    for field_name, field in sorted(cls.fields.items()):
        of = field._type
        of = getattr(of, '_element_type', None) and of._element_type._type or of
        default = field.default
        declared[field_name] = {
            'type': type(field._type).__name__, 'nullable': field.nullable, 'read_only': field.read_only,
            'default': default is not ovo_fields.UnspecifiedDefault,
            'object': of._obj_name if isinstance(of, fields.Object) else None}
    return {'version': cls.VERSION, 'list': issubclass(cls, ovo.ObjectListBase), 'fields': declared,
            'tree': ovo.obj_tree_get_versions(name) if name in ('Flavor', 'InstancePCIRequests', 'Migration', 'NetworkRequestList', 'LibvirtLiveMigrateData') else None}


CAPTURED = {
    'flavor': flavor,
    'flavor_new': lambda: objects.Flavor(name='new', extra_specs={}),
    'image_meta': image,
    'pci_requests': pci_requests,
    'numa_topology': numa,
    'instance': instance,
    'instance_changed': lambda: instance(task_state='migrating', flavor=objects.Flavor(id=8), host=None),
    'instance_sparse': lambda: objects.Instance(uuid=uuid(2), host='node-1'),
    'instance_older': stale_instance,
    'instance_list': lambda: objects.InstanceList(objects=[objects.Instance(uuid=uuid(2)), loaded(objects.Instance(uuid=uuid(3)))]),
    'instance_list_empty': objects.InstanceList,
    'migration': migration,
    'migration_list': lambda: objects.MigrationList(objects=[migration()]),
    'migrate_data': migrate_data,
    'block_device_mapping': block_device,
    'block_device_mapping_list': lambda: objects.BlockDeviceMappingList(objects=[block_device(instance=instance())]),
    'network_request_list': network_requests,
    'request_spec': request_spec,
}

BACKPORTS = [
    ('instance', '2.4', None), ('instance', '2.0', None), ('instance', '2.7', {'Instance': '2.7', 'Flavor': '1.1'}),
    ('instance_changed', '2.2', {'Instance': '2.2', 'Flavor': '1.1', 'InstancePCIRequests': '1.1', 'InstancePCIRequest': '1.2'}),
    ('instance_older', '2.5', {'Instance': '2.5', 'InstanceNUMATopology': '1.1', 'InstanceNUMACell': '1.4'}),
    ('flavor', '1.1', None),
    ('flavor_new', '1.0', None),
    ('migration', '1.6', None), ('migration', '1.4', {'Migration': '1.4'}),
    ('migration_list', '1.4', {'MigrationList': '1.4', 'Migration': '1.5'}),
    ('migration_list', '1.4', {'MigrationList': '1.4'}),
    ('network_request_list', '1.1', {'NetworkRequestList': '1.1', 'NetworkRequest': '1.1'}),
    ('migrate_data', '1.6', {'LibvirtLiveMigrateData': '1.6', 'Migration': '1.6', 'LibvirtLiveMigrateBDMInfo': '1.0', 'VIFMigrateData': '1.0'}),
    ('block_device_mapping', '1.19', None),
    ('block_device_mapping', '1.16', None),
]


def names(primitive, found):
    if isinstance(primitive, dict):
        if 'nova_object.name' in primitive:
            found.add(primitive['nova_object.name'])
        primitive = list(primitive.values())
    if isinstance(primitive, (list, tuple)):
        for value in primitive:
            names(value, found)
    return found


def main(folder):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)

    def write(name, value):
        (folder / (name + '.json')).write_text(json.dumps(value, indent=1, sort_keys=True) + '\n')

    used = set()
    for name, make in CAPTURED.items():
        primitive = make().obj_to_primitive()
        names(primitive, used)
        write(name, fixed(primitive))
    ported = []
    for name, target, versions in BACKPORTS:
        answer = {'object': name, 'target': target, 'versions': versions}
        try:
            answer['primitive'] = fixed(CAPTURED[name]().obj_to_primitive(target_version=target, version_manifest=versions))
        except Exception as error:
            answer['error'] = '%s: %s' % (type(error).__name__, error)
        ported.append(answer)
    write('backports', ported)
    write('schema', {name: schema(name) for name in sorted(used)})


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
