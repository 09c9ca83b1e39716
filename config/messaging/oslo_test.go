package messaging_test

import (
	"encoding/json"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/config/messaging"
)

// loadProgram has oslo.messaging read a file, and tells every option that it has for RPC and RabbitMQ.
const loadProgram = `
import json, sys
from oslo_config import cfg
from oslo_messaging import opts
conf = cfg.ConfigOpts()
for group, options in opts.list_opts():
    conf.register_opts(options, group=group)
conf.register_opts([cfg.StrOpt("my_ip")])  # as the services do, since URLs refer to it
conf([], project="nosuch", prog="nosuch", default_config_files=[sys.argv[1]], default_config_dirs=[])
values = {}
for group in (None, "oslo_messaging_rabbit"):
    for _, options in [o for o in opts.list_opts() if o[0] == group]:
        for o in options:
            value = conf._get(o.dest, None if group is None else conf._get_group(group))
            values[(group or "DEFAULT") + "." + o.dest] = "" if value is None else str(value)
print(json.dumps(values))
`

// others are options that the installed oslo.messaging has elsewhere, misspells, or has another default for.
var others = []string{
	"DEFAULT.conn_pool_min_size", "DEFAULT.conn_pool_ttl", "DEFAULT.rpc_conn_pool_size",
	"oslo_messaging_rabbit.rabbit_quroum_max_memory_bytes", "oslo_messaging_rabbit.rabbit_quroum_max_memory_length",
	"oslo_messaging_rabbit.ssl_enforce_hostname_verification",
}

// Files as they are in use mean the same to this package and to oslo.messaging.
func TestFilesInUseAgreeWithOsloMessaging(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"../../testdata/nova.conf", "../../testdata/cinder.conf"} {
		cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-W", "ignore", "-c", loadProgram, path)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("oslo.messaging did not run: %v; install it: apt-get install python3-oslo.messaging", err)
		}
		var want map[string]string
		if err := json.Unmarshal(out, &want); err != nil {
			t.Fatal(err)
		}
		conf, err := config.Load(config.Source{Files: []string{path}, Env: func(string) (string, bool) { return "", false }}, struct {
			messaging.Options
			Others struct{} `config:"DEFAULT,shared"`
		}{})
		if err != nil {
			t.Fatal(err)
		}
		maps.DeleteFunc(want, func(name, _ string) bool { return slices.Contains(others, name) })
		got := make(map[string]string)
		for name := range want {
			group, option, _ := strings.Cut(name, ".")
			value, _, err := conf.Option(group, option)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got[name] = value
		}
		if diff := cmp.Diff(want, got); diff != "" || len(want) < 30 {
			t.Errorf("%s: of %d options oslo.messaging (-) and this package (+) disagree:\n%s", path, len(want), diff)
		}
	}
}
