package messaging

// KafkaOptions are those of the transport for Kafka.
type KafkaOptions struct {
	KafkaConsumer
	KafkaProducer
	KafkaSecurity
	KafkaIgnored
}

// KafkaConsumer is how notifications are fetched.
type KafkaConsumer struct {
	MaxFetchBytes    int     `config:"kafka_max_fetch_bytes" default:"1048576" min:"1" help:"The most bytes that are fetched from a partition at a time. One notification may be larger."`
	Timeout          float64 `config:"kafka_consumer_timeout" default:"1.0" min:"0.01" help:"For how many seconds a broker may wait for notifications before it answers that there are none."`
	Group            string  `config:"consumer_group" default:"oslo_messaging_consumer" help:"The consumer group of listeners without a pool. A pool is a group of its own."`
	MaxPollRecords   int     `config:"max_poll_records" default:"500" min:"1" help:"The most notifications that a listener takes in at a time."`
	EnableAutoCommit bool    `config:"enable_auto_commit" default:"false" help:"Whether what was handled is committed every five seconds in place of at once. What is not handled is not committed either way."`
}

// KafkaProducer is how notifications are sent.
type KafkaProducer struct {
	BatchTimeout float64 `config:"producer_batch_timeout" default:"0.0" min:"0.0" help:"For how many seconds a notification waits for others to be sent with."`
	BatchSize    int     `config:"producer_batch_size" default:"16384" min:"1" help:"How many notifications may be on their way to the brokers; who sends more waits."`
	Compression  string  `config:"compression_codec" default:"none" choices:"none,gzip,snappy,lz4,zstd" help:"How notifications are compressed."`
}

// KafkaSecurity is how connections are encrypted, and who logs in.
type KafkaSecurity struct {
	Protocol    string `config:"security_protocol" default:"PLAINTEXT" choices:"PLAINTEXT,SASL_PLAINTEXT,SSL,SASL_SSL" help:"Whether connections are encrypted (SSL), and whether the user of the URL logs in (SASL)."`
	Mechanism   string `config:"sasl_mechanism" default:"PLAIN" help:"How to log in: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."`
	CAFile      string `config:"ssl_cafile" default:"" help:"The authorities that may have signed the brokers' certificates. The system's when empty."`
	CertFile    string `config:"ssl_client_cert_file" default:"" help:"Our own certificate, for brokers that ask for one."`
	KeyFile     string `config:"ssl_client_key_file" default:"" help:"Its private key. In the same file when empty."`
	KeyPassword string `config:"ssl_client_key_password" default:"" secret:"true" help:"Refused: keys with a password cannot be read."`
}

// KafkaIgnored are options that have no effect in oslo.messaging either.
type KafkaIgnored struct {
	PoolSize        int `config:"pool_size" default:"10" help:"Without effect." removal:"there is no pool of connections"`
	ConnPoolMinSize int `config:"conn_pool_min_size" default:"2" help:"Without effect." removal:"there is no pool of connections"`
	ConnPoolTTL     int `config:"conn_pool_ttl" default:"1200" help:"Without effect." removal:"there is no pool of connections"`
}
