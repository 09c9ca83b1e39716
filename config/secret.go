package config

// A Secret is text that nobody prints by accident: fmt, log/slog and encoding/json show *** in its place, even from
// within an unexported field. The zero value is the empty text.
type Secret struct{ text *string } // a pointer, because fmt follows none that it finds below the top

// NewSecret makes a secret of text.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal returns the text.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Equal says whether both hold the same text.
func (s Secret) Equal(other Secret) bool { return s.Reveal() == other.Reveal() }

// String is ***, or "" when there is nothing to hide.
func (s Secret) String() string {
	if s.Reveal() == "" {
		return ""
	}
	return mask
}

// GoString is String, so that %#v shows no secret either.
func (s Secret) GoString() string { return s.String() }

// MarshalText is String, so that structured logs and JSON show no secret either.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

const mask = "***"
