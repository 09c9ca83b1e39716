package rabbit

import (
	"bytes"
	"compress/bzip2"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/wire"
)

// compressionHeader is the header that says how a body is compressed (RMQ-PUB-09).
const compressionHeader = "compression"

// codecNames are the values of kombu_compression. Of oslo.messaging's documented ones, gzip and bz2, the second
// is not known to its own library, which calls it bzip2 (RMQ-PUB-10).
var codecNames = []string{"gzip", "zstd", "bzip2", "bz2"}

// compress returns body compressed, and the header's value. What is called gzip is a zlib stream (RMQ-PUB-09).
func compress(codec string, body []byte) (out []byte, header string, err error) {
	var b bytes.Buffer
	var w io.WriteCloser
	switch codec {
	case "gzip":
		header, w = "application/x-gzip", zlib.NewWriter(&b)
	case "zstd":
		header = "application/zstd"
		if w, err = zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1)); err != nil {
			return nil, "", err
		}
	default:
		return nil, "", fmt.Errorf("compression %q is not known", codec)
	}
	if _, err = w.Write(body); err == nil {
		err = w.Close()
	}
	return b.Bytes(), header, err
}

// PlainBody returns the body of a message that has these headers, decompressed where kombu_compression is set (RMQ-PUB-11): at most
// wire.MaxSize bytes. Whoever reads messages by a connection of [Config.Dial] needs it.
func PlainBody(headers amqp.Table, body []byte) ([]byte, error) {
	how, ok := headers[compressionHeader]
	if !ok {
		return body, nil
	}
	var r io.Reader
	var err error
	switch in := bytes.NewReader(body); how {
	case "application/x-gzip", "gzip", "zlib":
		r, err = zlib.NewReader(in)
	case "application/x-bz2", "bzip2", "bzip":
		r = bzip2.NewReader(in)
	case "application/zstd", "zstd", "zstandard":
		var z *zstd.Decoder
		if z, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(wire.MaxSize+1)); err == nil {
			defer z.Close()
		}
		r = z
	default:
		return nil, fmt.Errorf("compressed with %v, which is not one of gzip, bzip2 and zstd; set kombu_compression=gzip in the peer", how)
	}
	if err != nil {
		return nil, fmt.Errorf("decompress %v: %w", how, err)
	}
	out, err := io.ReadAll(io.LimitReader(r, wire.MaxSize+1))
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), err == nil && len(out) > wire.MaxSize:
		return nil, fmt.Errorf("decompress %v: more than %d bytes", how, wire.MaxSize)
	case err != nil:
		return nil, fmt.Errorf("decompress %v: %w", how, err)
	}
	return out, nil
}
