"""Serves a Keystone whose data are in the working folder: serve_keystone.py PORT PASSWORD_OF_ADMIN.

The first start fills the folder, later ones find it filled. Beside Keystone's API there is /brokertest/token, which
has Keystone issue a token of any lifetime, also one that is over: its API knows one lifetime for all.
"""

import datetime
import json
import os
import socketserver
import sqlite3
import sys
import threading
import urllib.parse
import warnings
import wsgiref.simple_server

warnings.simplefilter("ignore")

from keystone.cmd import bootstrap
from keystone.common import fernet_utils, provider_api, utils
from keystone.common.sql import upgrades
from keystone.server import configure
from keystone.server.flask import application, core

port, password = int(sys.argv[1]), sys.argv[2]
sys.argv[1:] = []
configure(config_files=["keystone.conf"])

fresh = not os.path.exists("filled")
if fresh:
    with sqlite3.connect("keystone.db") as database:
        database.execute("PRAGMA journal_mode=WAL")  # else readers of other threads lock out who writes
    upgrades.offline_sync_database_to_version()
    for group, folder in (("fernet_tokens", "fernet"), ("credential", "credential")):
        keys = fernet_utils.FernetUtils(os.path.abspath(folder), 3, group)
        keys.create_key_directory()
        keys.initialize_key_repository()

cloud = bootstrap.Bootstrapper()  # loads the backends as well
if fresh:
    cloud.admin_username = cloud.project_name = cloud.admin_role_name = "admin"
    cloud.admin_password = password
    cloud.service_name = "keystone"
    cloud.region_id = "RegionOne"
    cloud.public_url = cloud.internal_url = cloud.admin_url = "http://127.0.0.1:%d/v3" % port
    cloud.immutable_roles = True
    cloud.bootstrap()
    cloud._ensure_role_exists("service")  # as bootstrap does from release 2023.2 on
    open("filled", "w").close()

keystone = application.application_factory("public")
with_filters = core.setup_app_middleware(keystone)


def issue(query):
    given = {name: values[0] for name, values in urllib.parse.parse_qs(query).items()}
    end = datetime.datetime.utcnow() + datetime.timedelta(seconds=float(given["seconds"]))
    with keystone.test_request_context():
        token = provider_api.ProviderAPIs.token_provider_api.issue_token(
            given["user"], ["password"], expires_at=utils.isotime(end, subsecond=True), project_id=given["project"])
    return token.id


one = threading.Lock()  # Keystone's rules and SQLite are not at ease with several threads


def serve(environ, start_response):
    with one:
        if environ["PATH_INFO"] != "/brokertest/token":
            return list(with_filters(environ, start_response))
        body = json.dumps({"token": issue(environ["QUERY_STRING"])}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class Handler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass  # Keystone has a log


wsgiref.simple_server.make_server("127.0.0.1", port, serve, Server, Handler).serve_forever()
