package brokertest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/goslo/goslo/internal/brokertest"
)

// validity is what Keystone says about a token: 200, or 404.
func validity(t *testing.T, k *brokertest.KeystoneNode, asker, token string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, k.URL()+"/v3/auth/tokens", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	r.Header.Set("X-Auth-Token", asker)
	r.Header.Set("X-Subject-Token", token)
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	return w.StatusCode
}

func TestKeystoneIssuesAndRevokesTokens(t *testing.T) {
	k := brokertest.Keystone(t)
	t.Logf("started in %v", k.StartedIn)
	if k != brokertest.Keystone(t) {
		t.Error("there are two")
	}
	service := k.Token(t, k.NewUser(t, "service", "service", "admin"))
	ann := k.NewUser(t, "ann", "member")
	token := k.Token(t, ann)
	k.Kill()
	k.Restart(t)
	for what, c := range map[string]struct {
		token string
		want  int
	}{
		"a token":           {token, http.StatusOK},
		"a short one":       {k.TokenFor(t, ann, time.Hour), http.StatusOK},
		"an expired one":    {k.TokenFor(t, ann, -time.Minute), http.StatusNotFound},
		"one of nobody":     {"nonsense", http.StatusNotFound},
		"the service's own": {service, http.StatusOK},
	} {
		if got := validity(t, k, service, c.token); got != c.want {
			t.Errorf("%s: %d, want %d\n%s", what, got, c.want, k.Output())
		}
	}
	k.Revoke(t, token)
	if got := validity(t, k, service, token); got != http.StatusNotFound {
		t.Errorf("a revoked token: %d", got)
	}
}
