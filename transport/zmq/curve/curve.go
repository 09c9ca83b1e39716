// Package curve makes and reads the keys of CurveZMQ, which encrypts ZeroMQ's connections and tells who is at their ends.
//
// It owns the formats: keys as Z85 text (ZeroMQ's RFC 32), and the certificate files in which CZMQ and pyzmq keep
// them. It needs neither cgo nor libzmq, and starts no goroutine. What the keys do on sockets is in package zmq.
//
// A pair is two files: name.key with the public key, to be handed to peers, and name.key_secret with both, which
// stays where it was made:
//
//	#   Made by goslo on 2026-11-21.
//	metadata
//	    name = "compute1"
//	curve
//	    public-key = "..."
//	    secret-key = "..."
package curve

import (
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
)

// A Key is a public key. Its text is Z85: 40 characters.
type Key [32]byte

// ParseKey reads a key's Z85 text.
func ParseKey(text string) (Key, error) {
	b, err := decodeZ85(text)
	if err != nil {
		return Key{}, err
	}
	return Key(b), nil
}

// String is the key's Z85 text.
func (k Key) String() string { return encodeZ85(k) }

// MarshalText is String.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// A Pair is a secret key and the public key that belongs to it. Printing one, by fmt, slog or encoding/json, shows the
// public key alone. The zero value is no pair.
type Pair struct {
	Public Key
	secret Key
}

// NewPair makes a pair, by the system's source of randomness.
func NewPair() (Pair, error) {
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("curve: make a key: %w", err)
	}
	return Pair{Public: Key(k.PublicKey().Bytes()), secret: Key(k.Bytes())}, nil
}

// ParsePair reads a secret key's Z85 text, and works the public key out.
func ParsePair(secret string) (Pair, error) {
	b, err := decodeZ85(secret)
	if err != nil {
		return Pair{}, err
	}
	k, err := ecdh.X25519().NewPrivateKey(b[:])
	if err != nil {
		return Pair{}, errors.New("is not a secret key")
	}
	return Pair{Public: Key(k.PublicKey().Bytes()), secret: Key(b)}, nil
}

// Secret is the secret key's Z85 text.
func (p Pair) Secret() string { return encodeZ85(p.secret) }

// String is the public key's Z85 text.
func (p Pair) String() string { return p.Public.String() }

// GoString is String, so that %#v shows no secret either.
func (p Pair) GoString() string { return p.String() }

// LogValue is String, so that logs show no secret either.
func (p Pair) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalText is String, so that JSON shows no secret either.
func (p Pair) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
