package kafka_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/kafka"
)

// settings are lines of a file: name = value.
func settings(lines ...string) []transport.Setting {
	var list []transport.Setting
	for i, line := range lines {
		name, value, _ := strings.Cut(line, " = ")
		list = append(list, transport.Setting{Group: "oslo_messaging_kafka", Name: name, Value: value, At: fmt.Sprintf("nova.conf:%d", i+1)})
	}
	return list
}

// conforms: CFG-57, CFG-61
func TestOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "nosuch.pem")
	for query, want := range map[string]string{ //nolint:gosec // G101: no real secrets.
		"security_protocol=TLS":                                       `option security_protocol: "TLS" is not one of PLAINTEXT, SASL_PLAINTEXT, SSL, SASL_SSL`,
		"security_protocol=SASL_SSL&sasl_mechanism=GSSAPI":            `option sasl_mechanism: "GSSAPI" is not known here; there are PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512`,
		"security_protocol=SASL_PLAINTEXT&sasl_mechanism=OAUTHBEARER": `option sasl_mechanism: "OAUTHBEARER" is not known here`,
		"ssl_client_key_password=topsecret":                           "option ssl_client_key_password: keys with a password cannot be read here; take it off with `openssl pkey",
		"security_protocol=SSL&ssl_cafile=" + missing:                 "option ssl_cafile: open " + missing,
		"security_protocol=SSL&ssl_client_cert_file=" + missing:       "option ssl_client_cert_file: with ssl_client_key_file: open " + missing,
		"security_protocol=SSL&ssl_client_key_file=" + missing:        "option ssl_client_key_file: does not work without ssl_client_cert_file",
		"compression_codec=brotli":                                    `option compression_codec: "brotli" is not one of none, gzip, snappy, lz4, zstd`,
		"max_poll_records=0":                                          `option max_poll_records: "0" is not within 1 to`,
		"pool_size=many":                                              `option pool_size: "many" is not a whole number`,
		"consumer_grup=x":                                             `option "consumer_grup": unknown; did you mean consumer_group?`,
	} {
		err := config(t, "kafka://u:secret@127.0.0.1:1/?"+query).Check()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %v\nwant %s", query, err, want)
		}
	}
	if err := config(t, "kafka://127.0.0.1:1/?security_protocol=SASL_SSL").Check(); err == nil || !strings.Contains(err.Error(), "the url names no user") {
		t.Errorf("a login without a user: %v", err)
	}
	if err := config(t, "rabbit://127.0.0.1:1/").Check(); err == nil || !strings.Contains(err.Error(), `scheme "rabbit" is not kafka`) {
		t.Errorf("another scheme: %v", err)
	}
}

// Options come from the URL, else from files, and those that mean nothing are explained.
//
// conforms: DEB-10, URL-36
func TestOptionsOfFiles(t *testing.T) {
	t.Parallel()
	node := brokertest.NewKafka(t, brokertest.KafkaOptions{})
	var log strings.Builder
	c := config(t, "kafka://u:secret@"+node.Addr()+",u@"+node.Addr()+","+node.Addr()+",other:secret2@"+node.Addr()+",third@"+node.Addr()+"/?max_poll_records=7")
	c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	c.Settings = settings("pool_size = 10", "conn_pool_min_size = 2", "conn_pool_ttl = 1200", "consumer_grup = x", "ssl_cafile = /nosuch.pem", "max_poll_records = nonsense")
	bus, err := kafka.Open(testContext(t), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Close(testContext(t)); err != nil {
		t.Error(err)
	}
	var got []string
	for line := range strings.Lines(log.String()) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), " level=")
		text, _, _ := strings.Cut(rest, " why=")
		got = append(got, text)
	}
	slices.Sort(got)
	want := []string{
		`INFO msg="the option has no effect" option=conn_pool_min_size at=nova.conf:2`,
		`INFO msg="the option has no effect" option=conn_pool_ttl at=nova.conf:3`,
		`INFO msg="the option has no effect" option=pool_size at=nova.conf:1`,
		`INFO msg="the option has no effect" option=ssl_cafile at=nova.conf:5`,
		`WARN msg="kafka: the url names a user, and nobody logs in: security_protocol is neither SASL_SSL nor SASL_PLAINTEXT"`,
		`WARN msg="kafka: the url names several users; the first one is used for all brokers"`,
		`WARN msg="unknown option ignored" option=consumer_grup at=nova.conf:4 did_you_mean=consumer_group`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("the log shows a password: %s", log.String())
	}
}

// A host without a port is at Kafka's, and addresses of IPv6 have brackets.
//
// conforms: URL-36, URL-37, ODD-43, DEB-10
func TestHosts(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"kafka://u:secret@127.0.0.1:1,[::1]:2/v": "kafka: connect to 127.0.0.1:1, [::1]:2: ",
		"kafka://127.0.0.9,[::1]/":               "kafka: connect to 127.0.0.9:9092, [::1]:9092: ",
		"kafka:///":                              "kafka: connect to localhost:9092: ",
	} {
		bus, err := kafka.Open(testContext(t), config(t, url))
		if err == nil {
			_ = bus.Close(testContext(t))
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v\nwant %s...", url, err, want)
		}
	}
}
