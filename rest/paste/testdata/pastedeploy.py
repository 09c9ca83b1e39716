"""Loads applications with the real PasteDeploy, and prints what each is made of.

Reads a JSON list of cases from standard input: path, name, globals. Factories are recorders, by the beginning of
their names: app..., filter..., wrap... (a paste.filter_app_factory), map... (all settings are paths) and
choose... (the setting chosen is a pipeline). What egg:test#name means is found by the same names.
"""

import importlib.metadata
import json
import sys
import types

try:
    from paste.deploy import loadwsgi
except ImportError as error:
    sys.exit(f'{error}: apt-get install -y python3-pastedeploy')


def recorder(spec):
    short = spec.split(':')[-1].split('#')[-1]

    def app(global_conf, **local_conf):
        return {'app': spec, 'global': dict(global_conf), 'local': local_conf}

    def wrap(next_app, global_conf, **local_conf):
        return {'filter': spec, 'global': dict(global_conf), 'local': local_conf, 'next': next_app}

    def filter_(global_conf, **local_conf):
        return lambda next_app: wrap(next_app, global_conf, **local_conf)

    def map_(loader, global_conf, **local_conf):
        apps = {name: loader.get_app(value, global_conf=global_conf) for name, value in local_conf.items()}
        return {'composite': spec, 'global': dict(global_conf), 'local': local_conf, 'apps': apps}

    def choose(loader, global_conf, **local_conf):
        names = local_conf['chosen'].split()
        app = loader.get_app(names[-1])
        for name in reversed(names[:-1]):
            app = loader.get_filter(name)(app)
        return {'composite': spec, 'global': dict(global_conf), 'local': local_conf, 'next': app}

    for prefix, made in (('app', app), ('wrap', wrap), ('filter', filter_), ('map', map_), ('choose', choose)):
        if short.startswith(prefix):
            return made
    raise LookupError(spec)


class EntryPoint:  # reads names as the real one, and imports nothing
    def __init__(self, name, group, value):
        self.value = value

    def load(self):
        found = importlib.metadata.EntryPoint.pattern.match(self.value)
        return recorder(found['module'] + ':' + found['attr'])


def find_egg_entry_point(self, object_type, name=None):
    protocols = {'app': 'paste.app_factory', 'wrap': 'paste.filter_app_factory', 'filter': 'paste.filter_factory',
                 'map': 'paste.composite_factory', 'choose': 'paste.composite_factory'}
    for prefix, protocol in protocols.items():
        if (name or 'main').startswith(prefix):
            if protocol not in loadwsgi._flatten(object_type.egg_protocols):
                break
            return recorder(f'egg:{self.spec}#{name}'), protocol, name
    raise LookupError(name)


loadwsgi.importlib_metadata = types.SimpleNamespace(EntryPoint=EntryPoint, distribution=lambda name: name)
loadwsgi.lookup_object = recorder
loadwsgi.EggLoader.find_egg_entry_point = find_egg_entry_point

answers = []
for case in json.load(sys.stdin):
    try:
        answers.append({'made': loadwsgi.loadapp('config:' + case['path'], name=case['name'], global_conf=case['globals'])})
    except Exception as error:
        answers.append({'error': type(error).__name__ + ': ' + str(error)})
    except RecursionError as error:
        answers.append({'error': type(error).__name__})
json.dump(answers, sys.stdout)
