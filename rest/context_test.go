package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rpc"
)

func ada() *rest.Context {
	return &rest.Context{
		User:      rest.Identity{ID: "u-1", Name: "ada", Domain: rest.Domain{ID: "default", Name: "Default"}},
		Project:   rest.Identity{ID: "p-1", Name: "engines"},
		Roles:     []string{"member", "reader"},
		AuthToken: "s3cret",
		Service:   rest.Service{User: rest.Identity{ID: "u-nova"}, Roles: []string{"service"}, Token: "s3cret2"},
		RequestID: "req-1",
	}
}

var contexts = cmpopts.IgnoreUnexported(rest.Context{})

// A manager behind the bus has what a filter before the API made.
func TestContextCrossesTheBus(t *testing.T) {
	t.Parallel()
	sent := ada()
	if err := sent.SetExtra("read_deleted", "no"); err != nil {
		t.Fatal(err)
	}
	var arrived *rest.Context
	var readDeleted string
	method := rpc.NewCast[struct{}](rpc.Target{Topic: "t"}, "m")
	manager := rpc.Local(method.Handle(func(ctx context.Context, _ struct{}) error {
		arrived = rest.ContextFrom(ctx)
		ok, err := arrived.Extra("read_deleted", &readDeleted)
		if !ok || err != nil {
			t.Errorf("read_deleted: %v, %v", ok, err)
		}
		return nil
	}))
	if err := method.Cast(rest.WithContext(t.Context(), sent), manager, struct{}{}); err != nil {
		t.Fatal(err)
	}
	sent.Service.Token = "" // it stays
	if diff := cmp.Diff(sent, arrived, contexts); diff != "" || readDeleted != "no" {
		t.Errorf("read_deleted %q, sent -, arrived +:\n%s", readDeleted, diff)
	}
}

// The names are those that nova and oslo.context read.
func TestContextAsPythonHasIt(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(ada())
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"user": "u-1", "user_id": "u-1", "user_name": "ada", "user_domain": "default", "user_domain_name": "Default",
		"project": "p-1", "project_id": "p-1", "tenant": "p-1", "project_name": "engines", "project_domain": nil, "project_domain_name": nil,
		"domain": nil, "domain_name": nil, "system_scope": nil, "roles": []any{"member", "reader"}, "is_admin": false, "is_admin_project": true,
		"auth_token": "s3cret", "request_id": "req-1", "global_request_id": nil, "user_identity": "u-1 p-1 - default -",
		"service_user_id": "u-nova", "service_roles": []any{"service"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestContextOfAnOlderPeer(t *testing.T) {
	t.Parallel()
	var c rest.Context
	err := json.Unmarshal([]byte(`{"user": "u-1", "tenant": "p-1", "roles": null, "is_admin": null, "is_admin_project": false, "timestamp": 5, "client_timeout": 60}`), &c)
	want := rest.Context{User: rest.Identity{ID: "u-1"}, Project: rest.Identity{ID: "p-1"}, OtherProject: true}
	if diff := cmp.Diff(want, c, contexts); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	var timestamp int
	if ok, err := c.Extra("timestamp", &timestamp); !ok || err != nil || timestamp != 5 {
		t.Errorf("timestamp %d, %v, %v", timestamp, ok, err)
	}
	if ok, _ := c.Extra("client_timeout", &timestamp); ok {
		t.Error("the caller's monitoring period goes on to others")
	}
	if ok, err := c.Extra("timestamp", new(string)); !ok || err == nil {
		t.Errorf("a number is read as a string: %v, %v", ok, err)
	}
}

func TestContextKeepsItsSecrets(t *testing.T) {
	t.Parallel()
	c := ada()
	value, _ := c.LogValue().Any().(string)
	service, _ := c.Service.LogValue().Any().(string)
	shown := fmt.Sprintf("%v %+v %#v %s", c.Service, c.Service, c.Service, &c.Service) + service
	if encoded, err := json.Marshal(c.Service); err != nil || strings.Contains(shown+string(encoded), "s3cret") || !strings.Contains(service, c.Service.User.ID) {
		t.Errorf("shown: %v, %s %s", err, shown, encoded)
	}
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s", c, c, c, c), fmt.Sprintf("%v %+v %#v %s", *c, *c, *c, *c), value} {
		if strings.Contains(s, "s3cret") || !strings.Contains(s, "req-1") {
			t.Errorf("shown: %s", s)
		}
	}
}

func TestContextFields(t *testing.T) {
	t.Parallel()
	c := ada()
	if err := c.SetExtra("tenant", "other"); err == nil {
		t.Error("a member with a field can be set beside it")
	}
	if err := c.SetExtra("x", func() {}); err == nil {
		t.Error("a func is a member")
	}
	if !c.HasRole("Member") || c.HasRole("admin") {
		t.Error("roles")
	}
}

// What is in ctx is a copy, and what rpc has there later wins.
func TestContextFrom(t *testing.T) {
	t.Parallel()
	c := ada()
	ctx := rest.WithContext(t.Context(), c)
	c.User.ID = "u-2"
	if got := rest.ContextFrom(ctx); got.User.ID != "u-1" || got.Service.Token == "" {
		t.Errorf("%v", got)
	}
	other, err := rpc.NewRequestContext(map[string]string{"user_id": "u-3"})
	if err != nil {
		t.Fatal(err)
	}
	if got := rest.ContextFrom(rpc.WithContext(ctx, other)); got.User.ID != "u-3" {
		t.Errorf("%v", got)
	}
	if got := rest.ContextFrom(rest.WithContext(t.Context(), nil)); got.User.ID != "" {
		t.Errorf("%v", got)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	const global = "req-00000000-0000-4000-8000-000000000000"
	for header, want := range map[string]string{global: global, "": "", "req-1\n": "", "mine": ""} {
		var inner *rest.Context
		h := rest.RequestID(rest.RequestID(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inner = rest.ContextFrom(r.Context()) })))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("X-OpenStack-Request-ID", header)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if id := w.Header().Get("X-Openstack-Request-Id"); len(id) != len(global) || id != inner.RequestID || id == global || inner.GlobalRequestID != want {
			t.Errorf("%q: answered %q, context %q, global %q", header, id, inner.RequestID, inner.GlobalRequestID)
		}
	}
}
