package rabbit_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
	"github.com/goslo/goslo/wire"
)

// Bodies are compressed as kombu does: a header says how, the content type stays.
//
// conforms: RMQ-PUB-09, RMQ-PUB-10, CFG-25, ODD-38
func TestCompresses(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	for name, c := range map[string]struct {
		header string
		open   func(io.Reader) (io.Reader, error)
	}{
		"gzip":  {"application/x-gzip", func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }},
		"bz2":   {"application/x-gzip", func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }},
		"bzip2": {"application/x-gzip", func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }},
		"zstd":  {"application/zstd", func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := node.URLVhost(node.NewVhost(t))
			in := tap(t, url, "stock")
			var log lines
			bus := openURL(t, url+"?kombu_compression="+name, rabbit.Config{Logger: log.logger()})
			long := strings.Repeat("hello ", 10_000)
			args, err := json.Marshal(map[string]string{"arg": long})
			if err != nil {
				t.Fatal(err)
			}
			if err := bus.Send(t.Context(), topic("stock"), &transport.Message{Method: "echo", Args: args}); err != nil {
				t.Fatal(err)
			}
			d := next(t, in)
			if d.ContentType != "application/json" || d.Headers["compression"] != c.header || len(d.Body) > 2000 {
				t.Errorf("content type %s, headers %v, %d bytes", d.ContentType, d.Headers, len(d.Body))
			}
			r, err := c.open(bytes.NewReader(d.Body))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if m, err := wire.Parse(body); err != nil || !strings.Contains(string(m.Args), long) {
				t.Errorf("it is another message: %v", err)
			}
			if said := log.count("compressed with gzip instead") == 1; said != strings.HasPrefix(name, "bz") {
				t.Errorf("the log says so: %t:\n%s", said, log.String())
			}
		})
	}
}

// bzipped is {"oslo.version": "2.0", "oslo.message": "{\"method\": \"bzipped\", \"args\": {}}"} as Python's bz2 compresses it.
const bzipped = "QlpoOTFBWSZTWUVwFIsAACYbgFAFUBAABDbn3RogAFRFNqekY0T1G0BqCVNT0j1Gmg0DT0ZKiIYtGk1gK6W0NfCawOCrGeESTU+e" +
	"p3+8rIJM2DbEFBNElSQEBtc1EV/F3JFOFCQRXAUiwA=="

// Whatever our own setting, a body is decompressed as its header says. One that nobody can read is dropped, and what
// would fill the memory, too.
//
// conforms: RMQ-PUB-11
func TestDecompresses(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url := node.URLVhost(node.NewVhost(t))
	var log lines
	l := listen(t, openURL(t, url, rabbit.Config{Logger: log.logger()}), server("stock"))
	ch := raw(t, url)
	publish := func(how string, body []byte) {
		t.Helper()
		err := ch.PublishWithContext(t.Context(), "", "stock", true, false, amqp.Publishing{
			ContentType: "application/json", ContentEncoding: "utf-8", Headers: amqp.Table{"compression": how}, Body: body,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	zlibbed := func(body []byte) []byte {
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	zstandard, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	bz, err := base64.StdEncoding.DecodeString(bzipped)
	if err != nil {
		t.Fatal(err)
	}
	envelope := func(method string) []byte {
		body, err := wire.AppendEnvelope(nil, &transport.Message{Method: method, UniqueID: wire.NewID()})
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	// Zeros without an end: what is made of a mebibyte, again and again.
	var zeros bytes.Buffer
	w, err := flate.NewWriter(&zeros, flate.BestSpeed)
	if err == nil {
		_, err = w.Write(make([]byte, 1<<20))
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	const header = "\x78\x9c"
	publish("application/x-lzma", []byte("?"))
	publish("application/x-gzip", []byte("no zlib"))
	publish("application/x-gzip", append([]byte(header), bytes.Repeat(zeros.Bytes(), wire.MaxSize>>20+1)...))
	publish("application/zstd", zstandard.EncodeAll(make([]byte, wire.MaxSize+1), nil))
	publish("application/x-gzip", zlibbed(envelope("zlibbed")))
	publish("application/zstd", zstandard.EncodeAll(envelope("zstandard"), nil))
	publish("application/x-bz2", bz)
	for _, want := range []string{"zlibbed", "zstandard", "bzipped"} {
		d, err := l.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d.Message.Method != want {
			t.Errorf("got %s, want %s", d.Message.Method, want)
		}
		if err := d.Ack(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for _, words := range [][]string{
		{"application/x-lzma, which is not one of gzip, bzip2 and zstd"},
		{"decompress application/x-gzip: zlib: invalid header"},
		{"decompress application/x-gzip: more than 134217728 bytes"},
		{"decompress application/zstd: more than 134217728 bytes"},
	} {
		if log.count(append(words, "message dropped", "level=ERROR")...) != 1 {
			t.Errorf("the log does not say once %q:\n%s", words, log.String())
		}
	}
}

// A reply whose caller's queue is missing for a moment is compressed when it is sent again.
func TestCompressedReplySentAgain(t *testing.T) {
	t.Parallel()
	node := brokertest.Rabbit(t)
	url := node.URLVhost(node.NewVhost(t))
	var log lines
	bus := openURL(t, url+"?kombu_compression=gzip", rabbit.Config{Logger: log.logger()})
	m := &transport.Message{ID: "c1", UniqueID: wire.NewID(), Ending: true, Result: json.RawMessage(`"hello"`)}
	if err := bus.Send(t.Context(), transport.Address{Kind: transport.Reply, Topic: "reply_later"}, m); err != nil {
		t.Fatal(err)
	}
	ch := raw(t, url)
	if _, err := ch.QueueDeclare("reply_later", false, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	in, err := ch.Consume("reply_later", "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := next(t, in); d.Headers["compression"] != "application/x-gzip" {
		t.Errorf("headers %v", d.Headers)
	}
}
