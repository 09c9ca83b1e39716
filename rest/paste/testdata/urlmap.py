"""Asks Paste's urlmap which app gets which request. Reads JSON from standard input: the settings, a list of pairs,
and the requests, pairs of host and path. Prints [app, SCRIPT_NAME, PATH_INFO] for each."""

import json
import sys

try:
    from paste import urlmap
except ImportError as error:
    sys.exit(f'{error}: apt-get install -y python3-paste')


class Loader:
    def get_app(self, name, global_conf):
        return lambda environ, start_response: [name, environ['SCRIPT_NAME'], environ['PATH_INFO']]


settings, requests = json.load(sys.stdin)
mapped = urlmap.urlmap_factory(Loader(), {}, **dict(settings))
answers = []
for host, path in requests:
    environ = {'HTTP_HOST': host, 'SCRIPT_NAME': '', 'PATH_INFO': path, 'wsgi.url_scheme': 'http', 'REQUEST_METHOD': 'GET'}
    answers.append(mapped(environ, None))
json.dump(answers, sys.stdout)
