package management

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// pageSize is how many rows are asked for at once: the most that the broker allows.
const pageSize = 500

// page is one of a list.
type page[T any] struct {
	Items     []T `json:"items"`
	PageCount int `json:"page_count"`
}

// UnmarshalJSON reads a page, or the whole list, which is what the broker gives where it does not divide one.
func (p *page[T]) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		p.PageCount = 1
		return json.Unmarshal(b, &p.Items)
	}
	type plain page[T]
	return json.Unmarshal(b, (*plain)(p))
}

// pages reads all of a list that the broker may divide.
func pages[T any](ctx context.Context, c *Client, path, columns string) ([]T, error) {
	var all []T
	for n := 1; ; n++ {
		query := url.Values{"page": {strconv.Itoa(n)}, "page_size": {strconv.Itoa(pageSize)}, "columns": {columns}}
		var p page[T]
		if err := c.do(ctx, http.MethodGet, path, query, nil, &p); err != nil {
			var refused *Error
			if n > 1 && errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
				return all, nil // the list has become shorter than it was
			}
			return nil, err
		}
		all = append(all, p.Items...)
		if n >= p.PageCount {
			return all, nil
		}
	}
}

// list reads a list that comes as a whole.
func list[T any](ctx context.Context, c *Client, path, columns string) ([]T, error) {
	var all []T
	err := c.do(ctx, http.MethodGet, path, url.Values{"columns": {columns}}, nil, &all)
	return all, err
}

// unique leaves out rows that a second page repeated because the list had grown meanwhile.
func unique[T any](rows []T, key func(T) string) []T {
	seen := make(map[string]bool, len(rows))
	kept := rows[:0]
	for _, r := range rows {
		if k := key(r); !seen[k] {
			seen[k] = true
			kept = append(kept, r)
		}
	}
	return kept
}

// Overview asks the broker about itself. Of a user with the tag management alone it tells little more than the version.
func (c *Client) Overview(ctx context.Context) (Overview, error) {
	var o Overview
	query := url.Values{"columns": {"product_name,rabbitmq_version,management_version,cluster_name,node,rates_mode,disable_stats,churn_rates,object_totals"}}
	return o, c.do(ctx, http.MethodGet, path("overview"), query, nil, &o)
}

// Whoami asks for the user's tags.
func (c *Client) Whoami(ctx context.Context) (User, error) {
	var u User
	return u, c.do(ctx, http.MethodGet, path("whoami"), nil, nil, &u)
}

// Nodes lists the cluster's. It wants the tag monitoring.
func (c *Client) Nodes(ctx context.Context) ([]Node, error) {
	return list[Node](ctx, c, path("nodes"),
		"name,running,type,mem_alarm,mem_used,mem_limit,disk_free_alarm,disk_free,disk_free_limit,fd_used,fd_total,proc_used,proc_total,partitions,uptime")
}

// Vhosts lists the virtual hosts that the user sees.
func (c *Client) Vhosts(ctx context.Context) ([]Vhost, error) {
	return list[Vhost](ctx, c, path("vhosts"), "name,tracing,default_queue_type,message_stats.return_unroutable_details.rate,message_stats.drop_unroutable_details.rate")
}

// DescribeVhost asks about the client's virtual host. A problem of kind [NoVhost] says that the user sees none of that name.
func (c *Client) DescribeVhost(ctx context.Context) (Vhost, error) {
	all, err := c.Vhosts(ctx)
	if err != nil {
		return Vhost{}, err
	}
	for _, v := range all {
		if v.Name == c.vhost {
			return v, nil
		}
	}
	return Vhost{}, &Error{
		Method: http.MethodGet, URL: c.base.String() + path("vhosts"), Problem: NoVhost,
		Detail: "no virtual host " + strconv.Quote(c.vhost), Username: c.username, Vhost: c.vhost,
	}
}

// Queues lists the virtual host's.
func (c *Client) Queues(ctx context.Context) ([]Queue, error) {
	all, err := pages[Queue](ctx, c, path("queues", c.vhost), queueColumns)
	return unique(all, func(q Queue) string { return q.Name }), err
}

// Queue asks about one. A problem of kind [NotFound] says that there is none.
func (c *Client) Queue(ctx context.Context, name string) (Queue, error) {
	var q Queue
	return q, c.do(ctx, http.MethodGet, path("queues", c.vhost, name), url.Values{"columns": {queueColumns}}, nil, &q)
}

// Exchanges lists the virtual host's, those that every one has included.
func (c *Client) Exchanges(ctx context.Context) ([]Exchange, error) {
	all, err := pages[Exchange](ctx, c, path("exchanges", c.vhost), exchangeColumns)
	return unique(all, func(x Exchange) string { return x.Name }), err
}

// Bindings lists the virtual host's, without those of the default exchange, which every queue has.
func (c *Client) Bindings(ctx context.Context) ([]Binding, error) {
	all, err := list[Binding](ctx, c, path("bindings", c.vhost), bindingColumns)
	kept := all[:0]
	for _, b := range all {
		if b.Source != "" {
			kept = append(kept, b)
		}
	}
	return kept, err
}

// Consumers lists the virtual host's. A user without the tag monitoring sees their own.
func (c *Client) Consumers(ctx context.Context) ([]Consumer, error) {
	return list[Consumer](ctx, c, path("consumers", c.vhost), consumerColumns)
}

// Connections lists the virtual host's. A user without the tag monitoring sees their own.
func (c *Client) Connections(ctx context.Context) ([]Connection, error) {
	all, err := pages[Connection](ctx, c, path("vhosts", c.vhost, "connections"), connectionColumns)
	return unique(all, func(n Connection) string { return n.Name }), err
}

// Channels lists the virtual host's. A user without the tag monitoring sees their own.
func (c *Client) Channels(ctx context.Context) ([]Channel, error) {
	all, err := pages[Channel](ctx, c, path("vhosts", c.vhost, "channels"), channelColumns)
	return unique(all, func(n Channel) string { return n.Name }), err
}

// SetTracing switches the firehose of the virtual host on or off. It wants the tag administrator. A virtual host that is not there is an error of kind
// [NotFound], and not made.
//
// What else the broker knows of the virtual host is sent along as it is: brokers since 3.12 take what is missing for cleared (put_vhost in rabbit_vhost.erl).
func (c *Client) SetTracing(ctx context.Context, on bool) error {
	var now struct {
		Description      string
		Tags             Tags
		DefaultQueueType string `json:"default_queue_type"`
	}
	at := path("vhosts", c.vhost)
	if err := c.do(ctx, http.MethodGet, at, nil, nil, &now); err != nil {
		return err
	}
	body := map[string]any{"tracing": on, "description": now.Description, "tags": strings.Join(now.Tags, ",")}
	if t := now.DefaultQueueType; t != "" && t != "undefined" {
		body["default_queue_type"] = t
	}
	return c.do(ctx, http.MethodPut, at, nil, body, nil)
}
