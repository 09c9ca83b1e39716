package management

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// A Policy gives queues arguments that they were not declared with.
type Policy struct {
	Name       string
	Pattern    string
	ApplyTo    string `json:"apply-to"`
	Definition map[string]any
}

// Policies lists the virtual host's. It wants the tag policymaker, or monitoring.
func (c *Client) Policies(ctx context.Context) ([]Policy, error) {
	return list[Policy](ctx, c, path("policies", c.vhost), "name,pattern,apply-to,definition")
}

// A DeprecatedFeature is one that RabbitMQ means to lose.
type DeprecatedFeature struct {
	Name  string
	Phase string `json:"deprecation_phase"` // "permitted_by_default", "denied_by_default", "disconnected", "removed"
	State string // "permitted" or "denied"; "" where the broker does not say
}

// Denied says whether the broker refuses what uses it.
func (d DeprecatedFeature) Denied() bool {
	if d.State != "" {
		return d.State == "denied"
	}
	return d.Phase == "denied_by_default" || d.Phase == "disconnected" || d.Phase == "removed"
}

// DeprecatedFeatures lists them. Brokers before 3.13 have no such list. It wants the tag monitoring.
func (c *Client) DeprecatedFeatures(ctx context.Context) ([]DeprecatedFeature, error) {
	return list[DeprecatedFeature](ctx, c, path("deprecated-features"), "name,deprecation_phase,state")
}

// Clock compares the broker's clock with ours, by what it answers a request with: ahead is how much it is ahead of ours, and within
// how far off that may be, as it tells whole seconds and the answer takes its time.
func (c *Client) Clock(ctx context.Context) (ahead, within time.Duration, err error) {
	asked := time.Now()
	var header http.Header
	if err := c.do(ctx, http.MethodGet, path("whoami"), nil, nil, &header); err != nil {
		return 0, 0, err
	}
	took := time.Since(asked)
	said, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0, 0, fmt.Errorf("management: get %s%s: the answer has no date", c.base, path("whoami"))
	}
	return said.Add(time.Second / 2).Sub(asked.Add(took / 2)), time.Second + took/2, nil
}
