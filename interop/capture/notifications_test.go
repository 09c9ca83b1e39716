package capture_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/wire"
)

func TestGoldenNotificationsAreCaptured(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	run(t, nil, "notifications.py", folder)
	if diff := cmp.Diff(bodies(t, notifications), bodies(t, folder)); diff != "" {
		t.Errorf("run notifications.py %s: -golden +captured:\n%s", notifications, diff)
	}
}

// The real library hands the same to a listener's endpoint for a notification that we write as for the one that it wrote
// itself, in either format.
//
// conforms: NOTIFY-01, NOTIFY-02, NOTIFY-03, NDRV-01, ENV-22
func TestPythonDecodesOurNotifications(t *testing.T) {
	t.Parallel()
	var names, ask []string
	for name, body := range bodies(t, notifications) {
		m, err := wire.ParseNotification([]byte(body))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		names, ask = append(names, name), append(ask, body)
		for _, bare := range []bool{true, false} {
			m.Event.Bare = bare
			ours, err := wire.AppendNotification(nil, m)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			ask = append(ask, string(ours))
		}
	}
	told := answers(t, ask, "notifications.py", "--decode")
	for i, name := range names {
		theirs := told[3*i]
		if strings.HasPrefix(theirs, `{"error"`) {
			t.Errorf("%s: Python refuses its own body: %s", name, theirs)
		}
		for j, form := range []string{"bare", "enveloped"} {
			if diff := cmp.Diff(theirs, told[3*i+1+j]); diff != "" {
				t.Errorf("%s: -Python's body +ours, %s:\n%s", name, form, diff)
			}
		}
	}
}
