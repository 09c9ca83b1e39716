package brokertest

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

//go:embed serve_keystone.py
var keystoneProgram string

const keystoneInstall = "apt-get install -y python3-keystone"

// keystoneConfig is small and quick: tokens that need no table, a database in one file, cheap password hashes,
// and what costs dozens of queries a request is kept in memory.
const keystoneConfig = `[database]
connection = sqlite:///%[1]s/keystone.db
[token]
provider = fernet
[fernet_tokens]
key_repository = %[1]s/fernet
[fernet_receipts]
key_repository = %[1]s/fernet
[credential]
key_repository = %[1]s/credential
[cache]
enabled = true
backend = dogpile.cache.memory
[identity]
password_hash_rounds = 4
`

// keystoneAdmin is the password of Keystone's user admin, of its project admin in the domain Default.
const keystoneAdmin = "adm1n-s3cret"

// A KeystoneNode is OpenStack's Keystone, the distribution's, in a process of its own with a database of its own. It keeps
// its data over Kill and Restart.
type KeystoneNode struct {
	*Server
	// StartedIn is how long the first start took.
	StartedIn time.Duration

	mu    sync.Mutex
	admin string            // the token of the user admin; "" = not logged in yet
	roles map[string]string // ids by names

	serviceOnce sync.Once
	service     KeystoneUser
}

// A KeystoneUser is one that the tests made, with a project of its own, both in the domain Default.
type KeystoneUser struct{ ID, Name, Password, ProjectID, ProjectName string }

// Keystone returns the Keystone that all tests of this binary share, and starts it on the first use. A test makes users of
// its own, see [KeystoneNode.NewUser]. Only one that runs alone, without t.Parallel, may disturb the node.
func Keystone(t testing.TB) *KeystoneNode {
	t.Helper()
	node, err := brokers.startKeystone()
	if err != nil {
		t.Fatal(err)
	}
	return node
}

// startKeystone is called once with success: a start that failed is tried again.
func (s *shared) startKeystone() (*KeystoneNode, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.main {
		return nil, errors.New("brokertest: nobody would end the shared Keystone: call brokertest.Main from TestMain")
	}
	if s.keystone != nil {
		return s.keystone, nil
	}
	// The module is only looked for: to import it takes as long as to start it.
	if err := exec.Command(python, "-c", "import keystone, os; os.stat(os.path.join(keystone.__path__[0], 'server'))").Run(); err != nil {
		return nil, fmt.Errorf("brokertest: Keystone is not installed (%w): run `%s`", err, keystoneInstall)
	}
	begin := time.Now()
	server, err := newServer("keystone", keystoneCommand)
	if err != nil {
		return nil, fmt.Errorf("brokertest: start Keystone: %w", err)
	}
	s.keystone = &KeystoneNode{Server: server, StartedIn: time.Since(begin), roles: make(map[string]string)}
	return s.keystone, nil
}

func keystoneCommand(folder string, port int) (*exec.Cmd, error) {
	for name, content := range map[string]string{"keystone.conf": fmt.Sprintf(keystoneConfig, folder), "serve_keystone.py": keystoneProgram} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(python, "-W", "ignore", "serve_keystone.py", strconv.Itoa(port), keystoneAdmin)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "HOME=" + folder}
	return cmd, nil
}

// URL is Keystone's root URL, http://127.0.0.1:PORT. Its catalog has it, with /v3, as the identity service of RegionOne.
func (n *KeystoneNode) URL() string { return "http://" + n.Addr() }

// asAdmin is a token of the user admin, who may do everything. It is issued once: Keystone keeps its keys over a Restart.
func (n *KeystoneNode) asAdmin(t testing.TB) string {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.admin == "" {
		n.admin = n.Token(t, KeystoneUser{Name: "admin", Password: keystoneAdmin, ProjectName: "admin"})
	}
	return n.admin
}

// role is the id of a role, which is made if there is none of that name.
func (n *KeystoneNode) role(t testing.TB, name string) string {
	t.Helper()
	admin := n.asAdmin(t)
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.roles) == 0 {
		var found struct{ Roles []struct{ ID, Name string } }
		n.call(t, http.MethodGet, "/v3/roles", admin, nil, &found)
		for _, role := range found.Roles {
			n.roles[role.Name] = role.ID
		}
	}
	if n.roles[name] == "" {
		var made struct{ Role struct{ ID string } }
		n.call(t, http.MethodPost, "/v3/roles", admin, object{"role": object{"name": name}}, &made)
		n.roles[name] = made.Role.ID
	}
	return n.roles[name]
}

// object is one of JSON.
type object = map[string]any

// NewUser makes a user and a project of names that begin with name, and gives the user roles in it. Roles other than admin,
// member, reader and service are made.
func (n *KeystoneNode) NewUser(t testing.TB, name string, roles ...string) KeystoneUser {
	t.Helper()
	admin := n.asAdmin(t)
	unique := name + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	user := KeystoneUser{Name: unique, Password: unique + "-s3cret", ProjectName: unique + "-project"}
	var made struct{ Project, User struct{ ID string } }
	n.call(t, http.MethodPost, "/v3/projects", admin, object{"project": object{"name": user.ProjectName, "domain_id": "default"}}, &made)
	n.call(t, http.MethodPost, "/v3/users", admin, object{"user": object{"name": user.Name, "password": user.Password, "domain_id": "default"}}, &made)
	user.ID, user.ProjectID = made.User.ID, made.Project.ID
	for _, role := range roles {
		n.Grant(t, user, role, "projects/"+user.ProjectID)
	}
	return user
}

// ServiceUser is the user as whom services ask about tokens, with the roles admin and service. All tests share it: none may
// change it.
func (n *KeystoneNode) ServiceUser(t testing.TB) KeystoneUser {
	t.Helper()
	n.serviceOnce.Do(func() { n.service = n.NewUser(t, "service", "service", "admin") })
	return n.service
}

// Grant gives the user a role on something else than the user's project: "domains/default" or "system".
func (n *KeystoneNode) Grant(t testing.TB, user KeystoneUser, role, on string) {
	t.Helper()
	n.call(t, http.MethodPut, "/v3/"+on+"/users/"+user.ID+"/roles/"+n.role(t, role), n.asAdmin(t), nil, nil)
}

// Token logs the user in and returns the token, which is for the user's project.
func (n *KeystoneNode) Token(t testing.TB, user KeystoneUser) string {
	t.Helper()
	return n.ScopedToken(t, user, object{"project": object{"name": user.ProjectName, "domain": object{"id": "default"}}})
}

// ScopedToken logs the user in and returns a token of that scope, in the form of Keystone's API: {"system": {"all": true}},
// {"domain": {"id": "default"}}, or "unscoped".
func (n *KeystoneNode) ScopedToken(t testing.TB, user KeystoneUser, scope any) string {
	t.Helper()
	who := object{"name": user.Name, "password": user.Password, "domain": object{"id": "default"}}
	return n.call(t, http.MethodPost, "/v3/auth/tokens", "", object{"auth": object{
		"identity": object{"methods": []string{"password"}, "password": object{"user": who}}, "scope": scope,
	}}, nil).Get("X-Subject-Token")
}

// TokenFor has Keystone issue a token for the user's project that is valid for that long from now; for less than nothing: one
// that has expired.
func (n *KeystoneNode) TokenFor(t testing.TB, user KeystoneUser, lifetime time.Duration) string {
	t.Helper()
	query := url.Values{"user": {user.ID}, "project": {user.ProjectID}, "seconds": {strconv.FormatFloat(lifetime.Seconds(), 'f', 3, 64)}}
	var issued struct{ Token string }
	n.call(t, http.MethodGet, "/brokertest/token?"+query.Encode(), "", nil, &issued)
	return issued.Token
}

// Revoke makes a token invalid.
func (n *KeystoneNode) Revoke(t testing.TB, token string) {
	t.Helper()
	n.call(t, http.MethodDelete, "/v3/auth/tokens", token, nil, nil, "X-Subject-Token", token)
}

// NewEndpoint adds an endpoint of the identity service to the catalog, in a new region, whose name it returns.
func (n *KeystoneNode) NewEndpoint(t testing.TB, endpoint string) (region string) {
	t.Helper()
	admin := n.asAdmin(t)
	var found struct{ Services []struct{ ID string } }
	n.call(t, http.MethodGet, "/v3/services?type=identity", admin, nil, &found)
	region = "region-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	n.call(t, http.MethodPut, "/v3/regions/"+region, admin, object{"region": object{}}, nil)
	n.call(t, http.MethodPost, "/v3/endpoints", admin, object{"endpoint": object{
		"interface": "internal", "region_id": region, "url": endpoint, "service_id": found.Services[0].ID,
	}}, nil)
	return region
}

// call sends a request with the token and further headers, fails the test unless it succeeds, and decodes the answer.
func (n *KeystoneNode) call(t testing.TB, method, path, token string, body, answer any, headers ...string) http.Header {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), evalLimit)
	defer cancel()
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, n.URL()+path, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Auth-Token", token)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("brokertest: ask Keystone: %v\n%s", err, n.Output())
	}
	defer w.Body.Close()
	said, err := io.ReadAll(w.Body)
	if err != nil || w.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("brokertest: %s %s: %s, %v: %s\n%s", method, path, w.Status, err, said, n.Output())
	}
	if answer != nil {
		if err := json.Unmarshal(said, answer); err != nil {
			t.Fatalf("brokertest: %s %s: %v: %s", method, path, err, said)
		}
	}
	return w.Header
}
