"""Load configurations with oslo.config, and say what every option is, as JSON.

Standard input: {"options": [...], "cases": [{"files", "dirs", "args", "env"}]}, see oslo_load_test.go.
"""

import json
import logging
import os
import re
import sys

from oslo_config import cfg
from oslo_config import types

logging.disable(logging.CRITICAL)

# Where each assignment begins, which the parser itself forgets: (file, section, name) -> line numbers.
positions = {}
split = cfg.ConfigParser._split_key_value


def noting_split(self, line):
    key, value = split(self, line)
    section = cfg._normalize_group_name(self.section or "")
    positions.setdefault((self.filename, section, key), []).append(self.lineno)
    return key, value


cfg.ConfigParser._split_key_value = noting_split

ITEMS = {
    "string": types.String, "bool": types.Boolean, "int": types.Integer, "float": types.Float, "port": types.Port,
    "host": types.HostAddress, "hostname": types.Hostname, "hostdomain": types.HostDomain, "uri": types.URI,
    "ip": types.IPAddress, "ipv4": lambda: types.IPAddress(4), "ipv6": lambda: types.IPAddress(6),
}


def make(spec):
    limits = {name: spec[name] for name in ("min", "max", "choices") if name in spec}
    item = ITEMS[spec["item"]](**limits)
    old = [cfg.DeprecatedOpt(name, group=group) for group, name in spec.get("old", [])]
    kwargs = {"default": spec.get("default"), "required": spec.get("required", False), "deprecated_opts": old}
    if spec["shape"] == "multi":
        return cfg.MultiOpt(spec["name"], item, **kwargs)
    if spec["shape"] == "list":
        return cfg.ListOpt(spec["name"], item_type=item, **kwargs)
    if spec["shape"] == "dict":
        return cfg.Opt(spec["name"], types.Dict(item), **kwargs)
    if spec["item"] == "bool":
        return cfg.BoolOpt(spec["name"], **kwargs)
    return cfg.Opt(spec["name"], item, **kwargs)


def plain(value):
    if value is None:
        return None
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, float):
        return "%.17g" % value
    return str(value)


def origin(opt, group, files):
    """The position of the assignment that a value of a failing option comes from."""
    names = [(group, opt.dest)] + [(o.group or group, o.name) for o in opt.deprecated_opts]
    env = "OS_%s__%s" % (group.upper(), opt.dest.upper())
    if env in os.environ:
        return "$" + env
    for path in reversed(files):
        for section, name in names:
            lines = positions.get((path, cfg._normalize_group_name(section), name))
            if lines:
                return "%s:%d" % (os.path.basename(path), lines[-1])
    return ""


def load(options, case):
    positions.clear()
    conf = cfg.ConfigOpts()
    registered = []
    for spec in options:
        opt, group = make(spec), spec["group"]
        where = None if group == "DEFAULT" else group
        (conf.register_cli_opt if spec.get("flag") else conf.register_opt)(opt, group=where)
        registered.append((opt, group))
    try:
        conf(case["args"], project=None, prog="nosuch", default_config_files=case["files"], default_config_dirs=case["dirs"])
    except cfg.ConfigFileParseError as error:
        return {"broken": ["%s:%s" % (os.path.basename(error.config_file), re.search(r":(\d+), ", error.msg).group(1))]}
    except cfg.ConfigFilesNotFoundError as error:
        return {"broken": [os.path.basename(p) for p in error.config_files]}
    except cfg.ConfigDirNotFoundError as error:
        return {"broken": [os.path.basename(error.config_dir)]}
    except cfg.RequiredOptError as error:
        return {"broken": ["%s.%s" % (error.group.name if error.group else "DEFAULT", error.opt_name)]}
    except SystemExit:
        return {"broken": ["command line"]}
    files = [path for path, _, _ in positions]
    answer = {"values": {}, "errors": {}}
    for opt, group in registered:
        name = group + "." + opt.name
        try:
            answer["values"][name] = plain(conf._get(opt.dest, None if group == "DEFAULT" else conf._get_group(group)))
        except Exception:
            answer["errors"][name] = origin(opt, group, list(dict.fromkeys(files)))
    return answer


request = json.load(sys.stdin)
answers = []
for case in request["cases"]:
    os.environ.update(case["env"])
    answers.append(load(request["options"], case))
    for name in case["env"]:
        del os.environ[name]
json.dump(answers, sys.stdout)
