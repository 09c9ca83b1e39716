// Package mask keeps secrets from being shown: values in JSON whose names say that they are one. It is used wherever people, or logs, see
// what travels on a bus. It starts no goroutine.
package mask

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// Stars stand where a secret was.
const Stars = "***"

// secrets are what names of secrets have in them, in lower case: oslo.utils' list (oslo_utils/strutils.py), what HTTP calls credentials, and
// other spellings.
var secrets = []string{
	"adminpass", "admin_pass", "password", "passwd", "auth_token", "new_pass", "newpass", "secret", "sys_pswd", "token", "configdrive",
	"encrypted_key", "encryptedkey", "private_key", "privatekey", "api_key", "apikey", "auth_key", "authkey", "fernetkey", "sslkey", "passphrase",
	"credential", "encryptionkey", "clientkey", "adminkey", "clusterfsid", "heartbeatkey", "rndckey", "cryptokek", "rgwkey", "hashsuffix",
	"migrationsshkey", "cephmdskey", "cephmonkey", "authorization", "cookie",
	"user_data", "userdata", "injected_files", // of nova's: scripts and files for new machines, with what passwords they hold
}

// Secret reports whether a member, header or setting of this name holds a secret, in any case, and with dashes as with underscores.
func Secret(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	return slices.ContainsFunc(secrets, func(s string) bool { return strings.Contains(name, s) })
}

// passwords are those of URLs: what is between the colon and the last @ before the path.
var passwords = regexp.MustCompile(`(://[^/\s:@'"]*:)[^/\s'"]+@`)

// URLs returns a text with "***" for the passwords of URLs in it.
func URLs(text string) string {
	return passwords.ReplaceAllString(text, "${1}"+Stars+"@")
}

// assignments are a name with what is before its value, as logs, JSON and Python's repr write them: password=, 'auth_token': , X-Auth-Token: ,
// \"adminPass\": .
var assignments = regexp.MustCompile(`(?i)([a-z0-9_.-]+)\\*['"]?\s*[:=]\s*`)

// value is what stands behind: a text in quotes, a list or a dict, which may be cut off, or what ends with a blank.
var value = regexp.MustCompile(`(?is)^(?:[ub]?'(?:[^'\\]|\\.)*'?|[ub]?"(?:[^"\\]|\\.)*"?|\\+"[^"\\]*(?:\\+")?|\[[^\]]*\]?|\{[^}]*\}?|[^\s'",;&)}\]]+)`)

// line is the value of a header that has blanks in it.
var line = regexp.MustCompile(`^[^\s'"][^\r\n'"]*`)

// Text returns a text, such as a message of a log, with "***" for the values that stand behind names of secrets, and for the passwords of URLs.
func Text(text string) string {
	text = URLs(text)
	if !Secret(text) {
		return text
	}
	var b strings.Builder
	done := 0 // of text
	for _, at := range assignments.FindAllStringSubmatchIndex(text, -1) {
		name := text[at[2]:at[3]]
		if at[0] < done || !Secret(name) {
			continue
		}
		rest := text[at[1]:]
		length := len(value.FindString(rest))
		if name = strings.ToLower(name); strings.HasSuffix(name, "authorization") || strings.HasSuffix(name, "cookie") {
			length = max(length, len(line.FindString(rest)))
		}
		if length > 0 {
			b.WriteString(text[done:at[1]])
			b.WriteString(Stars)
			done = at[1] + length
		}
	}
	b.WriteString(text[done:])
	return b.String()
}

// Unreadable is shown of what is no JSON: nobody knows what is in it.
const Unreadable = `"(not shown: it is no JSON)"`

// JSON returns a JSON document with "***" for the values of secret members, at any depth, and for what Text masks within strings. Of an object
// under such a name each value is masked, whatever its own name.
// All else stays as it is, to the byte: digits, order and blanks, and Python's NaN and Infinity. Of what is no JSON it returns a JSON string that
// says so.
func JSON(text []byte) json.RawMessage {
	m := masker{in: text}
	if !m.run() {
		return json.RawMessage(Unreadable)
	}
	if m.out == nil {
		return text
	}
	return append(m.out, text[m.copied:]...)
}

// A masker reads a document once, without recursion: who sent it has chosen its depth.
type masker struct {
	in     []byte
	at     int
	out    []byte // what was copied, with stars; nil = there were no secrets so far
	copied int    // of in
	open   []byte // the brackets around at
	hidden int    // how many brackets are open with that of an object that is a secret; 0 = at is in none
}

// run says whether it was JSON.
func (m *masker) run() bool {
	name, secret := false, false // a member's name is next; its value is to be masked
	values := 0                  // outside all brackets
	for {
		m.blanks()
		if m.at == len(m.in) {
			return len(m.open) == 0 && values == 1
		}
		switch c := m.in[m.at]; {
		case c == ',' && len(m.open) > 0:
			m.at++
			name, secret = m.open[len(m.open)-1] == '{', false
		case c == ']' || c == '}':
			if len(m.open) == 0 || m.open[len(m.open)-1] != c-2 { // in ASCII
				return false
			}
			m.open = m.open[:len(m.open)-1]
			if len(m.open) < m.hidden {
				m.hidden = 0
			}
			m.at++
			name, secret = false, false
		case name:
			var ok bool
			if secret, ok = m.name(); !ok {
				return false
			}
			name, secret = false, secret || m.hidden > 0
		case secret && c != '{':
			if !m.stars() {
				return false
			}
		case c == '{' || c == '[':
			if len(m.open) == 0 {
				values++
			}
			m.open = append(m.open, c)
			if secret && m.hidden == 0 {
				m.hidden = len(m.open)
			}
			m.at++
			name, secret = c == '{', false
		default:
			if len(m.open) == 0 {
				values++
			}
			from := m.at
			if !m.scalar() {
				return false
			}
			m.text(from)
		}
	}
}

// text masks what is to be masked in the string that begins there, if it is one.
func (m *masker) text(from int) {
	raw := m.in[from:m.at]
	if raw[0] != '"' || !bytes.ContainsAny(raw, `@:=\`) {
		return
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return
	}
	masked := Text(text)
	if masked == text {
		return
	}
	if quoted, err := json.Marshal(masked); err == nil {
		m.replace(from, quoted)
	}
}

// replace has other text stand for what was read since from.
func (m *masker) replace(from int, text []byte) {
	m.out = append(append(m.out, m.in[m.copied:from]...), text...)
	m.copied = m.at
}

func (m *masker) blanks() {
	for m.at < len(m.in) && strings.IndexByte(" \t\r\n", m.in[m.at]) >= 0 {
		m.at++
	}
}

// name reads a member's name with its colon.
func (m *masker) name() (secret, ok bool) {
	from := m.at
	if m.in[from] != '"' || !m.scalar() {
		return false, false
	}
	var name string
	if json.Unmarshal(m.in[from:m.at], &name) != nil {
		return false, false
	}
	m.blanks()
	if m.at == len(m.in) || m.in[m.at] != ':' {
		return false, false
	}
	m.at++
	return Secret(name), true
}

// scalar reads a string, a number or a word.
func (m *masker) scalar() bool {
	from := m.at
	if m.in[m.at] != '"' {
		for m.at < len(m.in) && strings.IndexByte(" \t\r\n,:[]{}\"", m.in[m.at]) < 0 {
			m.at++
		}
		return m.at > from
	}
	for m.at++; m.at < len(m.in); m.at++ {
		switch m.in[m.at] {
		case '\\':
			m.at++
		case '"':
			m.at++
			return true
		}
	}
	return false
}

// stars reads a value that is no object, and writes stars for it.
func (m *masker) stars() bool {
	from, depth := m.at, 0
	for {
		m.blanks()
		if m.at == len(m.in) {
			return false
		}
		switch c := m.in[m.at]; c {
		case '[', '{':
			depth++
			m.at++
		case ']', '}':
			depth--
			m.at++
		case ',', ':':
			m.at++
		default:
			if !m.scalar() {
				return false
			}
		}
		if depth <= 0 {
			break
		}
	}
	m.replace(from, []byte(`"`+Stars+`"`))
	return depth == 0
}
