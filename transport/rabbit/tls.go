package rabbit

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// encryption reads the certificates. Without ssl the other options mean nothing (RMQ-TLS-01). The broker's
// certificate is always checked: against ssl_ca_file, else against the system's authorities.
func (s *settings) encryption(use, verifyHost bool, caFile, certFile, keyFile string) error {
	if !use {
		if s.login == "EXTERNAL" {
			return errors.New("option rabbit_login_method: EXTERNAL proves who we are with a certificate; it needs ssl=true, ssl_cert_file and ssl_key_file")
		}
		return nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return fmt.Errorf("option ssl_ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("option ssl_ca_file: %s holds no certificate in PEM form", caFile)
		}
	}
	if (certFile == "") != (keyFile == "") {
		return errors.New("options ssl_cert_file and ssl_key_file: one does not work without the other")
	}
	if certFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return fmt.Errorf("options ssl_cert_file and ssl_key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if !verifyHost {
		checkChainOnly(c)
	}
	s.tls = c
	return nil
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
