package amqp1

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/Azure/go-amqp"

	"github.com/goslo/goslo/transport"
)

// login is how a connection is made: encrypted or not, and as whom.
type login struct {
	tls        *tls.Config // nil = not encrypted
	vhostName  bool        // the certificate must be for the virtual host
	mechanisms []string    // of SASL; none = what the credentials need
	realm      string
}

// encryption reads whether to use TLS, and the certificates. It is on with ssl, and as upstream where there is a file
// that only it needs. The broker's certificate is always checked: against ssl_ca_file, else against the system's
// authorities.
func (s *settings) encryption(o *transport.Options, use bool) {
	var caFile, certFile, keyFile, keyPassword string
	asked := use
	o.Bool("ssl", &asked)
	o.Text("ssl_ca_file", &caFile)
	o.Text("ssl_cert_file", &certFile)
	o.Text("ssl_key_file", &keyFile)
	o.Text("ssl_key_password", &keyPassword)
	o.Bool("ssl_verify_vhost", &s.login.vhostName)
	if use && !asked {
		o.Wrong("ssl", "is off, and amqps:// or protocol=ssl asks for it; leave one of them out")
	}
	if keyPassword != "" {
		o.Wrong("ssl_key_password", "keys with a password cannot be read here; take it off with `openssl pkey -in KEY -out NEW`, and protect the file")
	}
	if !asked && caFile == "" && certFile == "" {
		return
	}
	s.login.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			o.Wrong("ssl_ca_file", err.Error())
		}
		s.login.tls.RootCAs = x509.NewCertPool()
		if err == nil && !s.login.tls.RootCAs.AppendCertsFromPEM(pem) {
			o.Wrong("ssl_ca_file", caFile+" holds no certificate in PEM form")
		}
	}
	switch {
	case certFile == "" && keyFile != "":
		o.Wrong("ssl_key_file", "does not work without ssl_cert_file")
	case certFile != "":
		if keyFile == "" {
			keyFile = certFile // both in one file
		}
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			o.Wrong("ssl_cert_file", fmt.Sprintf("with ssl_key_file: %v", err))
		}
		s.login.tls.Certificates = []tls.Certificate{pair}
	}
}

// known are the SASL mechanisms that there are here.
var known = []string{"EXTERNAL", "PLAIN", "ANONYMOUS"}

// authentication reads how to log in.
func (s *settings) authentication(o *transport.Options) {
	var names string
	o.Text("sasl_mechanisms", &names)
	o.Text("sasl_default_realm", &s.login.realm)
	for _, name := range strings.Fields(strings.ToUpper(names)) {
		if slices.Contains(known, name) {
			s.login.mechanisms = append(s.login.mechanisms, name)
		} else {
			o.Note("sasl_mechanisms", "a mechanism is left out", name+" is not known here; there are "+strings.Join(known, ", "))
		}
	}
	if names != "" && len(s.login.mechanisms) == 0 {
		o.Wrong("sasl_mechanisms", "none of them is known here; there are "+strings.Join(known, ", "))
	}
	if slices.Contains(s.login.mechanisms, "EXTERNAL") && (s.login.tls == nil || len(s.login.tls.Certificates) == 0) && len(s.login.mechanisms) == 1 {
		o.Wrong("sasl_mechanisms", "EXTERNAL proves who we are with a certificate; it needs ssl_cert_file and ssl_key_file")
	}
}

// sasl returns how to log in at e; nil is without SASL, as upstream does where nothing is configured.
func (l login) sasl(e endpoint) amqp.SASLType {
	mechanisms := l.mechanisms
	if len(mechanisms) == 0 {
		if e.user == "" {
			return nil
		}
		mechanisms = []string{"PLAIN"}
	}
	user := e.user
	if l.realm != "" && user != "" && !strings.Contains(user, "@") {
		user += "@" + l.realm
	}
	return func(c *amqp.Conn) error {
		for _, name := range mechanisms {
			use := amqp.SASLTypeAnonymous()
			switch name {
			case "PLAIN":
				use = amqp.SASLTypePlain(user, e.password)
			case "EXTERNAL":
				use = amqp.SASLTypeExternal("")
			}
			if err := use(c); err != nil {
				return err
			}
		}
		return nil
	}
}
