package rabbit

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"github.com/goslo/goslo/transport"
)

// tlsVersions are the values of ssl_version, in lower case, as Python means them (RMQ-TLS-07): exactly that
// version, or what both sides speak.
var tlsVersions = map[string]struct{ least, most uint16 }{
	"":        {tls.VersionTLS12, 0},
	"sslv23":  {tls.VersionTLS12, 0},
	"tlsv1":   {tls.VersionTLS10, tls.VersionTLS10},
	"tlsv1_1": {tls.VersionTLS11, tls.VersionTLS11},
	"tlsv1_2": {tls.VersionTLS12, tls.VersionTLS12},
}

// encryption reads how to log in, and the certificates. Without ssl the other options mean nothing
// (RMQ-TLS-01). The broker's certificate is always checked: against ssl_ca_file, else against the system's
// authorities.
func (s *settings) encryption(o *transport.Options) {
	use, verifyHost := false, true
	var version, caFile, certFile, keyFile string
	s.login = "AMQPLAIN"
	o.OneOf("rabbit_login_method", &s.login, "AMQPLAIN", "PLAIN", "EXTERNAL", "RABBIT-CR-DEMO")
	o.Bool("ssl", &use)
	o.Text("ssl_version", &version)
	o.Text("ssl_ca_file", &caFile)
	o.Text("ssl_cert_file", &certFile)
	o.Text("ssl_key_file", &keyFile)
	o.Bool("ssl_enforce_hostname_verification", &verifyHost)
	if s.login == "RABBIT-CR-DEMO" {
		o.Wrong("rabbit_login_method", "RABBIT-CR-DEMO answers a question of the broker, which the AMQP library cannot (nor can that of oslo.messaging); use PLAIN or AMQPLAIN")
	}
	if !use {
		if s.login == "EXTERNAL" {
			o.Wrong("rabbit_login_method", "EXTERNAL proves who we are with a certificate; it needs ssl=true, ssl_cert_file and ssl_key_file")
		}
		return
	}
	span, ok := tlsVersions[strings.ToLower(version)]
	if !ok {
		o.Wrong("ssl_version", fmt.Sprintf("%q is not one of TLSv1, TLSv1_1, TLSv1_2, SSLv23 (the best that both sides speak, which is the default); Go has no older ones", version))
	}
	s.tls = &tls.Config{MinVersion: span.least, MaxVersion: span.most}
	s.tls.RootCAs = authorities(o, caFile)
	switch {
	case certFile == "" && keyFile != "":
		o.Wrong("ssl_key_file", "does not work without ssl_cert_file")
	case certFile != "" && keyFile == "":
		o.Wrong("ssl_cert_file", "does not work without ssl_key_file")
	case certFile != "":
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			o.Wrong("ssl_cert_file", fmt.Sprintf("with ssl_key_file: %v", err))
		}
		s.tls.Certificates = []tls.Certificate{pair}
	}
	if !verifyHost {
		checkChainOnly(s.tls)
	}
}

// authorities are the certificates in a file; nil are the system's.
func authorities(o *transport.Options, file string) *x509.CertPool {
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		o.Wrong("ssl_ca_file", err.Error())
		return nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		o.Wrong("ssl_ca_file", file+" holds no certificate in PEM form")
	}
	return pool
}

// checkChainOnly makes c check that a known authority signed the certificate, and not for which host.
func checkChainOnly(c *tls.Config) {
	c.InsecureSkipVerify = true // the check below replaces the standard one, less the host name
	roots := c.RootCAs
	c.VerifyConnection = func(state tls.ConnectionState) error {
		between := x509.NewCertPool()
		for _, cert := range state.PeerCertificates[1:] {
			between.AddCert(cert)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
		return err
	}
}
