package brokertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An Authority signs certificates, and writes them to a folder that is removed after the test.
type Authority struct {
	folder string
	name   string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
}

// NewAuthority makes an authority with a certificate of its own.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	a := &Authority{folder: t.TempDir(), name: name}
	a.cert, a.key = a.sign(t, name, x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// SignServer writes a broker's certificate for the host names given, which ends at the time given.
func (a *Authority) SignServer(t testing.TB, name string, until time.Time, hosts ...string) {
	t.Helper()
	a.sign(t, name, x509.Certificate{DNSNames: hosts, NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

// SignClient writes a client's certificate, whose common name is name. It ends at the time given.
func (a *Authority) SignClient(t testing.TB, name string, until time.Time) {
	t.Helper()
	a.sign(t, name, x509.Certificate{NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// sign makes a certificate, which is self-signed while the authority has none.
func (a *Authority) sign(t testing.TB, name string, c x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	c.Subject = pkix.Name{CommonName: name}
	c.NotBefore = time.Now().Add(-24 * time.Hour)
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(24 * time.Hour)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	parent, parentKey := a.cert, a.key
	if parent == nil {
		parent, parentKey = &c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, &c, parent, &key.PublicKey, parentKey)
	check(err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	check(err)
	check(os.WriteFile(a.File(name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	check(os.WriteFile(a.KeyFile(name), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
	signed, err := x509.ParseCertificate(der)
	check(err)
	return signed, key
}

// CAFile is the file with the authority's own certificate.
func (a *Authority) CAFile() string { return a.File(a.name) }

// File is the file with a certificate that the authority signed.
func (a *Authority) File(name string) string { return filepath.Join(a.folder, name+".pem") }

// KeyFile is the file with that certificate's key.
func (a *Authority) KeyFile(name string) string { return filepath.Join(a.folder, name+"-key.pem") }
