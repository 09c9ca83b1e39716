"""Sends requests through the filters of the real oslo.middleware.

Reads a JSON list of cases from standard input: filter, settings, method, path, headers, body (of unknown length, if
chunked), mount (what was taken off the path), answer (status and headers of the app behind). Prints for each what the app saw, if it was asked, and what
the client got.
"""

import io
import json
import logging
import sys

try:
    from oslo_config import cfg
    import oslo_middleware
    import webob
except ImportError as error:
    sys.exit(f'{error}: apt-get install -y python3-oslo.middleware')

logging.disable(logging.CRITICAL)


class Compute(oslo_middleware.RequestId):
    compat_headers = ['x-compute-request-id']


FILTERS = {
    'cors': oslo_middleware.CORS.factory,
    'http_proxy_to_wsgi': oslo_middleware.HTTPProxyToWSGI.factory,
    'sizelimit': oslo_middleware.RequestBodySizeLimiter.factory,
    'request_id': oslo_middleware.RequestId.factory,
    'compute_req_id': Compute.factory,
    'healthcheck': oslo_middleware.Healthcheck.factory,
}


def send(case):
    seen = {}

    @webob.dec.wsgify
    def app(request):
        environ = request.environ
        seen.update(scheme=environ['wsgi.url_scheme'], host=environ['HTTP_HOST'], remote=environ['REMOTE_ADDR'],
                    mount=environ['SCRIPT_NAME'], path=environ['PATH_INFO'], body=len(environ['wsgi.input'].read()),
                    global_id=environ.get('openstack.global_request_id', ''))
        made = webob.Response(status=case['answer']['status'], body=b'the app')
        for name, value in case['answer']['headers'].items():
            made.headers[name] = value
        return made

    cfg.CONF = cfg.ConfigOpts()  # settings of a filter stay in it for the next
    cfg.CONF([], project='test', default_config_files=[])
    if case['filter'] == 'healthcheck_app':
        asked = oslo_middleware.Healthcheck.app_factory({}, **case['settings'])
    else:
        asked = FILTERS[case['filter']]({}, **case['settings'])(app)
    request = webob.Request.blank(case['path'], method=case['method'], headers=case['headers'])
    request.environ.update(HTTP_HOST='api.example.com', REMOTE_ADDR='192.0.2.1', SCRIPT_NAME=case['mount'])
    request.body = case['body'].encode()
    if case['chunked']:
        request.headers['Transfer-Encoding'] = 'chunked'
        request.environ.pop('CONTENT_LENGTH')
        request.environ['wsgi.input_terminated'] = True
        request.environ['wsgi.input'] = io.BytesIO(case['body'].encode())
    got = request.get_response(asked)
    return {'seen': seen or None, 'status': got.status_int, 'headers': dict(got.headers), 'body': got.text}


json.dump([send(case) for case in json.load(sys.stdin)], sys.stdout)
