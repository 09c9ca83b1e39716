package goslo

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/goslo/goslo/config"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

// Options are a loaded configuration: a *[config.Config], whose program need not have declared the options of messaging.
// Those that it has, by embedding [github.com/goslo/goslo/config/messaging.Options], are checked when it is loaded,
// and count from the environment and the command line too, with the precedence of package config.
type Options interface {
	// Option returns the value of an option and where it is given, both "" when nobody gives it.
	Option(group, name string) (value, from string, err error)
	// Values returns the values of an option that may be given several times, and where the last is given.
	Values(group, name string) (values []string, from string, err error)
	// Names returns which options of a group are given.
	Names(group string) []string
	// String says which files they are from.
	String() string
}

// rabbitGroup is where oslo.messaging's driver for RabbitMQ has its options.
const rabbitGroup = "oslo_messaging_rabbit"

// rabbitStrays begin the names of RabbitMQ's options that stood in [DEFAULT] before they had a group (CFG-69).
var rabbitStrays = []string{"rabbit_", "kombu_", "amqp_"}

// amqpGroup is where oslo.messaging's driver for AMQP 1.0 has its options.
const amqpGroup = "oslo_messaging_amqp"

// amqpStrays begin the names of options for Qpid that stood in [DEFAULT] before they had a group.
var amqpStrays = []string{"qpid_"}

// kafkaGroup is where oslo.messaging's driver for Kafka has its options.
const kafkaGroup = "oslo_messaging_kafka"

// hostNames are options by which a file named the broker before there was transport_url (CFG-69).
var hostNames = []string{"rabbit_host", "rabbit_hosts", "host", "hosts"}

// fromOptions fills in what the options say and c does not.
func (c Config) fromOptions() (Config, error) {
	for _, o := range []struct {
		name  string
		value *string
	}{{"transport_url", &c.URL}, {"control_exchange", &c.Exchange}} {
		if *o.value != "" || c.Options == nil {
			continue
		}
		var err error
		if *o.value, _, err = c.Options.Option(config.Default, o.name); err != nil {
			return c, err
		}
	}
	switch {
	case c.URL != "":
	case c.Options == nil:
		c.URL = "embedded://"
	default:
		settings, err := c.settings(rabbitGroup, rabbitStrays...)
		if err != nil {
			return c, err
		}
		if !slices.ContainsFunc(settings, func(s transport.Setting) bool { return slices.Contains(hostNames, s.Name) }) {
			return c, fmt.Errorf("goslo: %s: no transport_url in [DEFAULT]; add one", c.Options)
		}
		c.URL = "rabbit://"
	}
	return c, nil
}

// settings are the options of a transport: those of its group, and before them, so that the others count, those that begin
// with one of strays and stand in [DEFAULT], where they used to.
func (c Config) settings(group string, strays ...string) ([]transport.Setting, error) {
	if c.Options == nil {
		return nil, nil
	}
	old := slices.DeleteFunc(c.Options.Names(config.Default), func(name string) bool {
		return !slices.ContainsFunc(strays, func(s string) bool { return strings.HasPrefix(name, s) })
	})
	list, err := c.take(config.Default, old...)
	if err != nil {
		return nil, err
	}
	own, err := c.take(group, c.Options.Names(group)...)
	return append(list, own...), err
}

// take reads options of one group.
func (c Config) take(group string, names ...string) ([]transport.Setting, error) {
	var list []transport.Setting
	for _, name := range names {
		value, from, err := c.Options.Option(group, name)
		if err != nil {
			return nil, err
		}
		list = append(list, transport.Setting{Group: group, Name: name, Value: value, At: from, Stray: group == config.Default})
	}
	return list, nil
}

// ClientConfig returns what c says of clients: the timeout is rpc_response_timeout, the logger that of c.
// The error is as that of [Config.Check].
func (c Config) ClientConfig() (rpc.ClientConfig, error) {
	d, err := c.defaults()
	return rpc.ClientConfig{Timeout: d.timeout, Logger: c.Logger}, err
}

// ServerConfig returns what c says of servers: Workers is executor_thread_pool_size, Ping is rpc_ping_enabled, the logger
// that of c. The error is as that of [Config.Check].
func (c Config) ServerConfig() (rpc.ServerConfig, error) {
	d, err := c.defaults()
	return rpc.ServerConfig{Workers: d.workers, Ping: d.ping, Logger: c.Logger}, err
}

// defaults are what options of [DEFAULT] say of RPC. The zero value is rpc's own.
type defaults struct {
	timeout time.Duration
	workers int
	ping    bool
}

func (c Config) defaults() (defaults, error) {
	var d defaults
	if c.Options == nil {
		return d, nil
	}
	settings, err := c.take(config.Default, "rpc_response_timeout", "executor_thread_pool_size", "rpc_thread_pool_size", "rpc_ping_enabled")
	if err != nil {
		return d, &ConfigError{err}
	}
	o := transport.URL{}.Options().From(settings)
	o.Formerly("executor_thread_pool_size", "rpc_thread_pool_size")
	o.Seconds("rpc_response_timeout", &d.timeout, time.Second, math.MaxInt32*time.Second)
	o.Int("executor_thread_pool_size", &d.workers, 1, math.MaxInt32)
	o.Bool("rpc_ping_enabled", &d.ping)
	return d, o.Finish()
}
