"""Say what oslo.config reads from each file named on the command line, as JSON."""

import json
import re
import sys

from oslo_config import cfg


def read(path):
    sections, normalized = {}, {}
    parser = cfg.ConfigParser(path, sections)
    parser._add_normalized(normalized)
    try:
        parser.parse()
    except cfg.ParseError as error:
        return {"values": {}, "line": int(re.match(r"at .*?:(\d+),", str(error)).group(1))}
    values = {}
    for group in ("DEFAULT", "default", "group", " group "):
        for name in "abc":
            found = normalized.get(group, {}).get(name)
            if found:
                values[group + "." + name] = found[-1]
    return {"values": values, "line": 0}


print(json.dumps([read(path) for path in sys.argv[1:]]))
