package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/goslo/goslo/transport"
)

// security reads whether to use TLS and SASL, and with what.
func (s *settings) security(o *transport.Options, user, password string) {
	protocol := "PLAINTEXT"
	o.OneOf("security_protocol", &protocol, "PLAINTEXT", "SASL_PLAINTEXT", "SSL", "SASL_SSL")
	s.encryption(o, strings.HasSuffix(protocol, "SSL"))
	s.authentication(o, strings.HasPrefix(protocol, "SASL"), user, password)
}

// encryption reads the certificates. The broker's certificate, and that it is for the host that was dialled, is always checked: against
// ssl_cafile, else against the system's authorities.
func (s *settings) encryption(o *transport.Options, use bool) {
	var caFile, certFile, keyFile, keyPassword string
	o.Text("ssl_cafile", &caFile)
	o.Text("ssl_client_cert_file", &certFile)
	o.Text("ssl_client_key_file", &keyFile)
	o.Text("ssl_client_key_password", &keyPassword)
	if keyPassword != "" {
		o.Wrong("ssl_client_key_password", "keys with a password cannot be read here; take it off with `openssl pkey -in KEY -out NEW`, and protect the file")
	}
	if !use {
		const unused = "it counts with security_protocol=SSL or SASL_SSL alone"
		o.NoEffect("ssl_cafile", unused)
		o.NoEffect("ssl_client_cert_file", unused)
		o.NoEffect("ssl_client_key_file", unused)
		return
	}
	s.login.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			o.Wrong("ssl_cafile", err.Error())
		}
		s.login.tls.RootCAs = x509.NewCertPool()
		if err == nil && !s.login.tls.RootCAs.AppendCertsFromPEM(pem) {
			o.Wrong("ssl_cafile", caFile+" holds no certificate in PEM form")
		}
	}
	switch {
	case certFile == "" && keyFile != "":
		o.Wrong("ssl_client_key_file", "does not work without ssl_client_cert_file")
	case certFile != "":
		if keyFile == "" {
			keyFile = certFile // both in one file
		}
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			o.Wrong("ssl_client_cert_file", fmt.Sprintf("with ssl_client_key_file: %v", err))
		}
		s.login.tls.Certificates = []tls.Certificate{pair}
	}
}

// authentication reads how to log in.
func (s *settings) authentication(o *transport.Options, use bool, user, password string) {
	mechanism := "PLAIN"
	o.Text("sasl_mechanism", &mechanism)
	if !use {
		if user != "" {
			s.remarks = append(s.remarks, "the url names a user, and nobody logs in: security_protocol is neither SASL_SSL nor SASL_PLAINTEXT")
		}
		return
	}
	scrams := scram.Auth{User: user, Pass: password}
	switch strings.ToUpper(mechanism) {
	case "PLAIN":
		s.login.sasl = plain.Auth{User: user, Pass: password}.AsMechanism()
	case "SCRAM-SHA-256":
		s.login.sasl = scrams.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		s.login.sasl = scrams.AsSha512Mechanism()
	default:
		o.Wrong("sasl_mechanism", fmt.Sprintf("%q is not known here; there are PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512", mechanism))
		return
	}
	s.login.user = user
	if user == "" {
		o.Wrong("security_protocol", "asks for a login, and the url names no user: kafka://USER:PASSWORD@HOST/")
	}
}
