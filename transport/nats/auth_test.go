package nats_test

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
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/nats"
)

// withQuery is the node's URL with credentials and options.
func withQuery(n *brokertest.NATSNode, credentials, query string) string {
	return "nats://" + credentials + n.Addr() + "/" + query
}

// admits proves that a URL works for a cast's whole way.
func admits(t *testing.T, url string) {
	t.Helper()
	conn := open(t, url)
	ctx := testContext(t)
	at := transport.Address{Kind: transport.Topic, Topic: "compute", Server: "h1"}
	l, err := conn.Listen(ctx, at, transport.ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Send(ctx, at, &transport.Message{Method: "x"}); err != nil {
		t.Fatal(err)
	}
	if got := next(t, l); got != "x" {
		t.Fatalf("got %s", got)
	}
	if err := l.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

// refuses proves that a URL does not work, with an error that says so and holds no secret.
func refuses(t *testing.T, url string, words ...string) {
	t.Helper()
	conn, err := dial(t, url)
	if err == nil {
		_ = conn.Close(testContext(t))
		t.Errorf("%s: connected", url)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got %q, want it to say %q", err, w)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error shows a secret: %v", err)
	}
}

func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUserAndPassword(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{Config: `authorization { user: ann, password: "p@ss:word/1" }`})
	admits(t, withQuery(node, "ann:p%40ss:word%2F1@", ""))
	refuses(t, withQuery(node, "ann:hunter2@", ""), "refuses", `user "ann"`, node.Addr())
	refuses(t, withQuery(node, "bob:hunter2@", ""), "refuses", `user "bob"`)
	refuses(t, withQuery(node, "", ""), "refuses no credentials")
	refuses(t, withQuery(node, "", "?token=hunter2"), "refuses a token")
}

func TestToken(t *testing.T) {
	t.Parallel()
	node := brokertest.NewNATS(t, brokertest.NATSOptions{Config: `authorization { token: "t0ken" }`})
	admits(t, withQuery(node, "", "?token=t0ken"))
	refuses(t, withQuery(node, "", "?token=hunter2"), "refuses a token")
	refuses(t, withQuery(node, "", ""), "refuses no credentials")
}

// newSeed is a new NKEY of a user: its seed and public key.
func newSeed(t *testing.T) (seed []byte, public string) {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	if seed, err = pair.Seed(); err != nil {
		t.Fatal(err)
	}
	if public, err = pair.PublicKey(); err != nil {
		t.Fatal(err)
	}
	return seed, public
}

func TestNKey(t *testing.T) {
	t.Parallel()
	seed, public := newSeed(t)
	wrong, _ := newSeed(t)
	node := brokertest.NewNATS(t, brokertest.NATSOptions{Config: `authorization { users: [ { nkey: ` + public + ` } ] }`})
	admits(t, withQuery(node, "", "?nkey="+writeFile(t, "right.nk", seed)))
	path := writeFile(t, "wrong.nk", wrong)
	refuses(t, withQuery(node, "", "?nkey="+path), "refuses nkey "+path)
	refuses(t, withQuery(node, "", "?nkey=/nonexistent.nk"), "/nonexistent.nk")
	refuses(t, withQuery(node, "", ""), "refuses no credentials")
}

func TestCreds(t *testing.T) {
	t.Parallel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	operator, err := nkeys.CreateOperator()
	must(err)
	account, err := nkeys.CreateAccount()
	must(err)
	operatorKey, err := operator.PublicKey()
	must(err)
	accountKey, err := account.PublicKey()
	must(err)
	system, err := nkeys.CreateAccount()
	must(err)
	systemKey, err := system.PublicKey()
	must(err)
	systemJWT, err := jwt.NewAccountClaims(systemKey).Encode(operator)
	must(err)
	operatorJWT, err := jwt.NewOperatorClaims(operatorKey).Encode(operator)
	must(err)
	claims := jwt.NewAccountClaims(accountKey)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	accountJWT, err := claims.Encode(operator)
	must(err)
	creds := func(signer nkeys.KeyPair) string {
		seed, public := newSeed(t)
		userJWT, err := jwt.NewUserClaims(public).Encode(signer)
		must(err)
		config, err := jwt.FormatUserConfig(userJWT, seed)
		must(err)
		return writeFile(t, "user.creds", config)
	}
	stranger, err := nkeys.CreateAccount()
	must(err)
	node := brokertest.NewNATS(t, brokertest.NATSOptions{Config: fmt.Sprintf(
		"operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: { %s: %s, %s: %s }\n",
		operatorJWT, systemKey, systemKey, systemJWT, accountKey, accountJWT)})
	admits(t, withQuery(node, "", "?creds="+creds(account)))
	path := creds(stranger)
	refuses(t, withQuery(node, "", "?creds="+path), "refuses creds "+path)
	refuses(t, withQuery(node, "", "?creds=/nonexistent.creds"), "/nonexistent.creds")
}

// An authority signs certificates for tests.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = writeFile(t, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// issue makes a certificate for 127.0.0.1, or for a name.
func (a *authority) issue(name string) (cert, key string) {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if name == "" {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	} else {
		template.DNSNames = []string{name}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return writeFile(a.t, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		writeFile(a.t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}))
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	cert, key := ours.issue("")
	node := brokertest.NewNATS(t, brokertest.NATSOptions{Config: fmt.Sprintf("tls { cert_file: %q, key_file: %q }\n", cert, key)})
	admits(t, withQuery(node, "", "?tls=true&tls_ca="+ours.file))
	admits(t, "nats+tls://"+node.Addr()+"/?tls_ca="+ours.file)
	refuses(t, withQuery(node, "", "?tls=true&tls_ca="+theirs.file), "certificate signed by unknown authority")
	refuses(t, withQuery(node, "", "?tls=true"), "certificate signed by unknown authority")
	refuses(t, withQuery(node, "", ""), "certificate signed by unknown authority") // the server demands it, and is verified all the same
	refuses(t, withQuery(node, "", "?tls=true&tls_server_name=other.example&tls_ca="+ours.file), "other.example")

	plain := brokertest.NewNATS(t, brokertest.NATSOptions{})
	refuses(t, withQuery(plain, "", "?tls=true&tls_ca="+ours.file), "secure connection", "tls=true")
}

func TestTLSServerName(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	cert, key := ours.issue("bus.example")
	node := brokertest.NewNATS(t, brokertest.NATSOptions{Config: fmt.Sprintf("tls { cert_file: %q, key_file: %q }\n", cert, key)})
	admits(t, withQuery(node, "", "?tls=true&tls_server_name=bus.example&tls_ca="+ours.file))
	refuses(t, withQuery(node, "", "?tls=true&tls_ca="+ours.file), "127.0.0.1")
}

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	cert, key := ours.issue("")
	node := brokertest.NewNATS(t, brokertest.NATSOptions{Config: fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }\n", cert, key, ours.file)})
	base := "?tls=true&tls_ca=" + ours.file
	clientCert, clientKey := ours.issue("client")
	admits(t, withQuery(node, "", base+"&tls_cert="+clientCert+"&tls_key="+clientKey))
	refuses(t, withQuery(node, "", base), node.Addr())
	clientCert, clientKey = theirs.issue("client")
	refuses(t, withQuery(node, "", base+"&tls_cert="+clientCert+"&tls_key="+clientKey), node.Addr())
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"rabbit://h":                               "neither nats nor nats+tls",
		"nats://h/?tokn=hunter2":                   "token",
		"nats://h/?nonsense=1":                     "nonsense",
		"nats://h/?token=hunter2&nkey=/x":          "one of",
		"nats://u:hunter2@h/?token=x":              "one of",
		"nats://u:hunter2@h,u:hunter3@i/":          "same user and password",
		"nats://h/?tls_ca=/x":                      "tls=true",
		"nats+tls://h/?tls=false":                  "tls=false",
		"nats://h/?tls=true&tls_ca=/nonexistent":   "/nonexistent",
		"nats://h/?tls=true&tls_cert=/nonexistent": "tls_key",
		"nats://h/?storage=tape":                   "file, memory",
		"nats://h/?replicas=9":                     "1 to 5",
		"nats://h:70000":                           "70000",
	} {
		u, err := transport.ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		_, err = nats.ConfigFromURL(u)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: got %v, want an error that says %q and no secret", url, err, want)
		}
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	for _, a := range []nats.Auth{{User: "u", Password: "hunter2"}, {Token: "hunter2"}} {
		if s := fmt.Sprintf("%v %+v %#v %s", a, a, nats.Config{Auth: a}, a.LogValue()); strings.Contains(s, "hunter2") {
			t.Errorf("it shows: %s", s)
		}
	}
}
