package rabbit

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// explain says in the words of the URL why there is no connection, and what to do. Cause is why the connection
// broke, if it did. No secret is in it.
func (s *settings) explain(ctx context.Context, e endpoint, err, cause error) error {
	var refusal *amqp.Error
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("connect to %s: no AMQP answer: %w; %s", e.addr, ctx.Err(), s.silence())
	case errors.Is(cause, os.ErrDeadlineExceeded):
		return fmt.Errorf("connect to %s: no AMQP answer within %s: %w; %s", e.addr, handshakeTimeout, cause, s.silence())
	case isAlert(cause):
		return fmt.Errorf("connect to %s with TLS: %w", e.addr, s.tlsReason(e, cause))
	case !errors.As(err, &refusal):
		return fmt.Errorf("connect to %s: %w", e.addr, err)
	case refusal == amqp.ErrSASL && s.login == "EXTERNAL":
		return fmt.Errorf("connect to %s: the broker does not offer login method EXTERNAL; "+
			"it needs the plugin rabbitmq_auth_mechanism_ssl, and EXTERNAL among its auth_mechanisms", e.addr)
	case refusal == amqp.ErrSASL:
		return fmt.Errorf("connect to %s: the broker does not offer login method %s; choose another with rabbit_login_method", e.addr, s.login)
	case refusal.Server && refusal.Code == amqp.NotAllowed,
		refusal.Server && refusal.Code == amqp.AccessRefused && strings.Contains(refusal.Reason, "vhost"):
		return s.hostRefused(e, refusal)
	case refusal.Server && refusal.Code == amqp.AccessRefused:
		return s.loginRefused(e)
	case refusal.Server:
		return fmt.Errorf("connect to %s: the broker refused the connection: %w", e.addr, err)
	case s.tls == nil && (refusal.Code == amqp.FrameError || refusal.Code == amqp.SyntaxError || refusal.Code == amqp.UnexpectedFrame || refusal.Code == amqp.CommandInvalid):
		return fmt.Errorf("connect to %s: what answers there is not AMQP 0-9-1 in clear; %s", e.addr, s.otherPort())
	}
	return fmt.Errorf("connect to %s: the connection ended before the AMQP handshake was over: %w; %s", e.addr, cmp.Or(cause, err), s.otherPort())
}

// hostRefused is about a virtual host that the broker did not open. Its own words tell the cases apart.
func (s *settings) hostRefused(e endpoint, refusal *amqp.Error) error {
	advice := "check its name, and what `rabbitmqctl list_permissions` says of it"
	switch {
	case strings.Contains(refusal.Reason, "not found"):
		advice = "create it with `rabbitmqctl add_vhost`, or correct the path of the URL"
	case strings.Contains(refusal.Reason, "limit"):
		advice = "see `rabbitmqctl list_vhost_limits` and `rabbitmqctl list_user_limits`"
	case strings.Contains(refusal.Reason, "refused for user"):
		advice = "give the user its rights with `rabbitmqctl set_permissions`"
	}
	return fmt.Errorf("connect to %s: the broker refused virtual host %q to user %q: %s; %s", e.addr, s.vhost, s.userAt(e), refusal.Reason, advice)
}

// loginRefused is about a user. The broker tells its own log why.
func (s *settings) loginRefused(e endpoint) error {
	if s.login == "EXTERNAL" {
		return fmt.Errorf("connect to %s: the broker refused user %q with login method EXTERNAL: "+
			"the certificate (ssl_cert_file) must name a user that the broker has (see its ssl_cert_login_from)", e.addr, s.userAt(e))
	}
	advice := "check the name and the password"
	if e.user == "guest" {
		advice += "; user guest may log in from the broker's own host only"
	}
	return fmt.Errorf("connect to %s: the broker refused user %q with login method %s: %s", e.addr, e.user, s.login, advice)
}

// userAt is who we are at e: with EXTERNAL the one that our certificate names.
func (s *settings) userAt(e endpoint) string {
	if s.login != "EXTERNAL" || s.tls == nil || len(s.tls.Certificates) == 0 || s.tls.Certificates[0].Leaf == nil {
		return e.user
	}
	return s.tls.Certificates[0].Leaf.Subject.String()
}

// silence is what to do about a port that takes connections and says nothing.
func (s *settings) silence() string {
	if s.tls != nil {
		return "something takes connections there and does not answer: is it the broker, and does it hang?"
	}
	return "something takes connections there and does not answer: is it an AMQP 0-9-1 port without TLS (ssl=true is for one with), and does the broker hang?"
}

// otherPort is what to do about a port that does not answer as expected. A broker that refuses our certificate may close
// the connection so that its reason never gets here.
func (s *settings) otherPort() string {
	switch {
	case s.tls != nil && len(s.tls.Certificates) == 0:
		return "is it an AMQP 0-9-1 port? If so, it may be that the broker demands a certificate of ours: give ssl_cert_file and ssl_key_file"
	case s.tls != nil && s.tls.Certificates[0].Leaf != nil && time.Now().After(s.tls.Certificates[0].Leaf.NotAfter):
		return "our certificate (ssl_cert_file) has expired: renew it"
	case s.tls != nil:
		return "is it an AMQP 0-9-1 port, and is the authority that signed our certificate (ssl_cert_file) in the broker's ssl_options.cacertfile?"
	}
	return "is it an AMQP 0-9-1 port, and is TLS right? A port for TLS (5671 usually) takes ssl=true"
}

// alerted is what to do about what a broker says of TLS or of our certificate, in the words of Go's library.
func (s *settings) alerted(text string) string {
	switch {
	case strings.HasSuffix(text, "certificate required") && len(s.tls.Certificates) > 0:
		return "the authority that signed our certificate (ssl_cert_file) is none of those in the broker's ssl_options.cacertfile"
	case strings.HasSuffix(text, "certificate required"):
		return "the broker demands a certificate of ours: give ssl_cert_file and ssl_key_file"
	case strings.HasSuffix(text, "expired certificate"):
		return "our certificate (ssl_cert_file) has expired: renew it"
	case strings.HasSuffix(text, "unknown certificate authority"), strings.HasSuffix(text, "unknown certificate"), strings.HasSuffix(text, "bad certificate"):
		return "the broker does not trust our certificate (ssl_cert_file): its authority must be in the broker's ssl_options.cacertfile"
	case strings.HasSuffix(text, "handshake failure") && len(s.tls.Certificates) == 0:
		return "the broker may demand a certificate of ours (ssl_cert_file, ssl_key_file), or takes none of our TLS versions and ciphers"
	case strings.HasSuffix(text, "handshake failure"), strings.HasSuffix(text, "protocol version not supported"):
		return "the broker takes none of our TLS versions and ciphers (ssl_version): compare with its ssl_options.versions"
	}
	return "see the broker's log"
}

// isAlert says that the other side broke off TLS and said why.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// tlsReason adds what to do to an error of Go's TLS.
func (s *settings) tlsReason(e endpoint, err error) error {
	var (
		record  tls.RecordHeaderError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		advice  string
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		advice = s.silence()
	case isAlert(err):
		advice = s.alerted(err.Error())
	case errors.As(err, &record):
		advice = "the port does not speak TLS (5671 usually does); without ssl=true the connection is not encrypted"
	case errors.As(err, &unknown):
		advice = "ssl_ca_file names the authority to trust"
	case errors.As(err, &host):
		advice = fmt.Sprintf("name the broker as its certificate does, or have one made for %q; ssl_enforce_hostname_verification=false would not check", e.host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		advice = "the broker's certificate has to be renewed, unless the clock of one of the two is wrong"
	case errors.As(err, &invalid):
		advice = "the broker's certificate cannot be used as a server's"
	default:
		advice = s.otherPort()
	}
	return fmt.Errorf("%w; %s", err, advice)
}
