package kafka

import (
	"cmp"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goslo/goslo/transport"
)

const (
	// defaultPort is Kafka's. Upstream has none, and hands "None" to its library (URL-37).
	defaultPort = 9092
	// defaultGroup is upstream's consumer group of listeners without a pool.
	defaultGroup = "oslo_messaging_consumer"
)

// codecs are those of compression_codec.
var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// options reads the options of [oslo_messaging_kafka], by their names there. The result has what is to be said about them.
func (s *settings) options(u *transport.URL, files []transport.Setting) (*transport.Options, error) {
	o := u.Options().From(files)
	user, password := s.hosts(u)
	s.security(o, user, password)
	s.sending(o)
	s.fetching(o)
	withoutEffect(o)
	return o, o.Finish()
}

// hosts reads which brokers to ask for the others, and as whom: the first user that there is (URL-36).
func (s *settings) hosts(u *transport.URL) (user, password string) {
	several := false
	for _, h := range u.Hosts {
		if user == "" {
			user, password = h.Username, h.Password
		}
		several = several || h.Username != "" && h.Username != user
		h.Hostname = cmp.Or(h.Hostname, "localhost")
		s.brokers = append(s.brokers, h.Addr(defaultPort))
	}
	if several {
		s.remarks = append(s.remarks, "the url names several users; the first one is used for all brokers")
	}
	if len(s.brokers) == 0 {
		s.brokers = []string{transport.Host{Hostname: "localhost"}.Addr(defaultPort)}
	}
	return user, password
}

func (s *settings) sending(o *transport.Options) {
	codec := "none"
	s.producer.most = 16384
	o.Seconds("producer_batch_timeout", &s.producer.linger, 0, time.Minute)
	o.Int("producer_batch_size", &s.producer.most, 1, 1_000_000)
	o.OneOf("compression_codec", &codec, "none", "gzip", "snappy", "lz4", "zstd")
	s.producer.codec = codecs[codec]
}

func (s *settings) fetching(o *transport.Options) {
	s.group = defaultGroup
	s.consumer = consumer{bytes: 1 << 20, wait: time.Second, records: 500}
	o.Text("consumer_group", &s.group)
	o.Int("kafka_max_fetch_bytes", &s.consumer.bytes, 1, 1_000_000_000)
	o.Seconds("kafka_consumer_timeout", &s.consumer.wait, 10*time.Millisecond, time.Minute)
	o.Int("max_poll_records", &s.consumer.records, 1, math.MaxInt32)
	o.Bool("enable_auto_commit", &s.consumer.lazy)
}

// withoutEffect checks the options that mean nothing any more, upstream neither (CFG-69), and has them explained.
func withoutEffect(o *transport.Options) {
	n := 0
	for _, name := range []string{"pool_size", "conn_pool_min_size", "conn_pool_ttl"} {
		o.Int(name, &n, math.MinInt32, math.MaxInt32)
		o.NoEffect(name, "there is no pool of connections; oslo.messaging has none either, and its later releases do not know the option")
	}
}
