package transport

import "fmt"

// MaxHeaders is the most bytes that names and values of a message's headers have together, and maxHeaderCount how many there
// are: all of them fit into the smallest frame that an AMQP 0-9-1 broker may ask for, of 4096 bytes.
const (
	MaxHeaders     = 3 << 10
	maxHeaderCount = 64
)

// CheckHeaders returns nil for headers that every bus can carry as they are, else an error that wraps ErrRejected. A name has lower-case
// letters, digits, '-', '_' and '.' alone, and is not "compression", nor does it begin with "x-": those are brokers' own. A value is printable
// ASCII that neither begins nor ends with a blank.
func CheckHeaders(headers map[string]string) error {
	size := 0
	for name, value := range headers {
		size += len(name) + len(value)
		switch {
		case !HeaderName(name):
			return fmt.Errorf("%w: header name %q; it may have a-z, 0-9, '-', '_' and '.', and is not compression and does not begin with x-", ErrRejected, name)
		case !headerValue(value):
			return fmt.Errorf("%w: value of header %q; it may have printable ASCII, without blanks around it", ErrRejected, name)
		}
	}
	if size > MaxHeaders || len(headers) > maxHeaderCount {
		return fmt.Errorf("%w: %d headers of %d bytes; the most is %d of %d", ErrRejected, len(headers), size, maxHeaderCount, MaxHeaders)
	}
	return nil
}

// HeaderName reports whether a header of that name is a message's. A transport leaves others, which brokers and peers add, to itself.
func HeaderName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return name != "" && len(name) < 256 && name != "compression" && (len(name) < 2 || name[:2] != "x-")
}

func headerValue(value string) bool {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return false
		}
	}
	return value == "" || value[0] != ' ' && value[len(value)-1] != ' '
}
