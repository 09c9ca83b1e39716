package management_test

import (
	"strings"
	"testing"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/management"
)

// What the virtual host is called and tagged stays, and one that is not there is not made.
func TestSetTracing(t *testing.T) {
	t.Parallel()
	node := brokertest.RabbitManaged(t)
	const vhost = "described"
	node.Eval(t, `ok = rabbit_vhost:add(<<"described">>, <<"all of it">>, [qa, other], <<"brokertest">>).`)
	t.Cleanup(func() { node.DeleteVhost(t, vhost) })
	metadata := `io_lib:format("~p", [lists:sort(maps:to_list(vhost:get_metadata(rabbit_vhost:lookup(<<"described">>))))]).`
	api, err := management.New(management.Config{URL: node.ManagementURL(), Vhost: vhost})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	before := node.Eval(t, metadata)
	for _, on := range []bool{true, false} {
		if err := api.SetTracing(t.Context(), on); err != nil {
			t.Fatal(err)
		}
		host, err := api.DescribeVhost(t.Context())
		if err != nil || host.Tracing != on {
			t.Errorf("tracing is %t, %v, want %t", host.Tracing, err, on)
		}
		if after := node.Eval(t, metadata); after != before {
			t.Errorf("the virtual host was %s, and is %s", before, after)
		}
	}
	missing, err := management.New(management.Config{URL: node.ManagementURL(), Vhost: "no-such"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(missing.Close)
	if err := missing.SetTracing(t.Context(), false); !management.Is(err, management.NotFound) {
		t.Errorf("of a virtual host that is not there: %v", err)
	}
	if strings.Contains(node.Eval(t, "rabbit_vhost:list_names()."), "no-such") {
		t.Error("it was made")
	}
}
