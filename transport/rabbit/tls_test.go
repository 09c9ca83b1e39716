package rabbit_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/rabbit"
)

// An authority signs certificates for the test, and writes them to its folder.
type authority struct {
	t      *testing.T
	folder string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, folder: t.TempDir()}
	a.cert, a.key = a.sign(name, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// sign makes a certificate, self-signed while the authority has none, in name.pem and name-key.pem.
func (a *authority) sign(name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	check := func(err error) {
		if err != nil {
			a.t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	c.Subject = pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	parent, parentKey := a.cert, a.key
	if parent == nil {
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	check(err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	check(err)
	check(os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	check(os.WriteFile(a.file(name+"-key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
	signed, err := x509.ParseCertificate(der)
	check(err)
	return signed, key
}

func (a *authority) file(name string) string { return filepath.Join(a.folder, name+".pem") }

// The broker's certificate is checked, and ours shown, as the URL says.
//
// conforms: RMQ-TLS-02, RMQ-TLS-03, RMQ-TLS-04, RMQ-TLS-05, RMQ-TLS-06, RMQ-CONN-04
// conforms: CFG-16, CFG-18, CFG-19, CFG-20, CFG-21
func TestTLS(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t, "ca"), newAuthority(t, "stranger")
	ca.sign("broker", &x509.Certificate{DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	ca.sign("ann", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	node := brokertest.NewRabbit(t, brokertest.RabbitOptions{
		Plugins: []string{"rabbitmq_auth_mechanism_ssl"},
		Config: fmt.Sprintf(`
listeners.ssl.1 = 127.0.0.1:%d
ssl_options.cacertfile = %s
ssl_options.certfile = %s
ssl_options.keyfile = %s
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
ssl_cert_login_from = common_name
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = AMQPLAIN
auth_mechanisms.3 = EXTERNAL
`, port, ca.file("ca"), ca.file("broker"), ca.file("broker-key")),
	})
	node.AddUser(t, "ann", "unused")
	node.SetPermissions(t, "ann", "/", ".*", ".*", ".*")

	options := func(trust *authority, name string) string {
		return "/?ssl=true&ssl_ca_file=" + trust.file(name) + "&ssl_cert_file=" + ca.file("ann") + "&ssl_key_file=" + ca.file("ann-key")
	}
	good := options(ca, "ca")
	localhost, number := fmt.Sprintf("localhost:%d", port), fmt.Sprintf("127.0.0.1:%d", port)
	for name, c := range map[string]struct{ url, want, protocol string }{
		"password":            {url: "rabbit://guest:guest@" + localhost + good},
		"certificate":         {url: "rabbit://" + localhost + good + "&rabbit_login_method=EXTERNAL"},
		"host name unchecked": {url: "rabbit://guest:guest@" + number + good + "&ssl_enforce_hostname_verification=false"},
		// conforms: RMQ-TLS-07, CFG-17
		"TLS 1.2":         {url: "rabbit://guest:guest@" + localhost + good + "&ssl_version=tlsv1_2", protocol: "tlsv1.2"},
		"TLS 1.0":         {url: "rabbit://guest:guest@" + localhost + good + "&ssl_version=TLSv1", protocol: "tlsv1"},
		"wrong host name": {url: "rabbit://guest:guest@" + number + good, want: "127.0.0.1"},
		"wrong authority": {url: "rabbit://guest:guest@" + localhost + options(stranger, "stranger"), want: "ssl_ca_file names the authority"},
		"wrong authority, host name unchecked": {
			url:  "rabbit://guest:guest@" + number + options(stranger, "stranger") + "&ssl_enforce_hostname_verification=false",
			want: "ssl_ca_file names the authority",
		},
		"system's authorities":   {url: "rabbit://guest:guest@" + localhost + "/?ssl=true", want: "ssl_ca_file names the authority"},
		"no certificate of ours": {url: "rabbit://guest:guest@" + localhost + "/?ssl=true&ssl_ca_file=" + ca.file("ca"), want: "AMQP handshake"},
		"no TLS":                 {url: "rabbit://guest:guest@" + localhost + "/", want: "is TLS right"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.want == "" {
				bus := openURL(t, c.url, rabbit.Config{})
				l := listen(t, bus, server(strings.ReplaceAll(name, " ", "-")))
				receives(t, bus, l, topic(strings.ReplaceAll(name, " ", "-")))
				if all := strings.Fields(node.Ctl(t, "list_connections", "--quiet", "--no-table-headers", "ssl_protocol")); c.protocol != "" && !slices.Contains(all, c.protocol) {
					t.Errorf("no connection has protocol %s: %v", c.protocol, all)
				}
				return
			}
			u, err := transport.ParseURL(c.url)
			if err != nil {
				t.Fatal(err)
			}
			_, err = rabbit.Open(t.Context(), rabbit.Config{URL: u})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v\nwant it to say: %s", err, c.want)
			}
		})
	}
}
