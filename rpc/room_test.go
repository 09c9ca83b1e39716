package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/transport/memory"
)

// A text is JSON that is encoded where a client or worker writes its next, too.
type text struct {
	Text string `json:"text"`
}

var (
	same    = rpc.NewCall[text, text](target, "same")
	sameRaw = rpc.NewCall[text, json.RawMessage](target, "same")
	store   = rpc.NewCall[json.RawMessage, json.RawMessage](target, "store")
	tell    = rpc.NewCast[text](target, "tell")
)

func handleSame(_ context.Context, a text) (text, error) { return a, nil }

// Arguments that a handler keeps and results that a caller keeps stay what they were, also those of calls that were given up.
func TestWhatIsKeptStays(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		var mu sync.Mutex
		kept := map[string]json.RawMessage{}
		keep := func(raw json.RawMessage) {
			mu.Lock()
			defer mu.Unlock()
			kept[string(raw)] = raw
		}
		c.serve(rpc.ServerConfig{Workers: 4},
			same.Handle(handleSame),
			store.Handle(func(_ context.Context, a json.RawMessage) (json.RawMessage, error) {
				keep(a)
				if strings.Contains(string(a), "slow") {
					<-time.After(time.Second) // its caller is gone by then
				}
				return a, nil
			}),
			tell.Handle(func(ctx context.Context, a text) error {
				keep(rpc.RequestFrom(ctx).Args)
				return nil
			}))
		storeText := rpc.NewCall[text, json.RawMessage](target, "store")
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				results := map[string]json.RawMessage{}
				for j := range 30 {
					words := fmt.Sprint(strings.Repeat("x", (i*7+j*13)%50), i, "-", j)
					want := `{"text":"` + words + `"}`
					for _, m := range []rpc.Call[text, json.RawMessage]{sameRaw, storeText} {
						got, err := m.Call(t.Context(), c.client, text{words})
						if err != nil || string(got) != want {
							t.Errorf("%s, %v; want %s", got, err, want)
						}
						results[want] = got
					}
					if err := tell.Cast(t.Context(), c.client, text{"cast" + words}); err != nil {
						t.Error(err)
					}
					if j%10 == 0 {
						short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
						if _, err := storeText.Call(short, c.client, text{"slow" + words}); !errors.Is(err, context.DeadlineExceeded) {
							t.Error(err)
						}
						cancel()
					}
				}
				for want, got := range results {
					if string(got) != want {
						t.Errorf("a result that was kept became %s, want %s", got, want)
					}
				}
			})
		}
		wg.Wait()
		<-time.After(2 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		for want, got := range kept {
			if string(got) != want {
				t.Errorf("arguments that were kept became %s, want %s", got, want)
			}
		}
		if len(kept) < 8*30*2 {
			t.Errorf("%d were kept", len(kept))
		}
	})
}

// A caring value calls while it is encoded.
type caring struct {
	do func() string
}

func (c caring) MarshalJSON() ([]byte, error) {
	if c.do == nil {
		return []byte(`""`), nil
	}
	return json.Marshal(c.do())
}

type caringText struct {
	Before string `json:"before"`
	Text   caring `json:"text"`
	After  string `json:"after"`
}

// Arguments and results may be such as call the same client, or the same server, while they are encoded.
func TestEncodingCalls(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		ask := func(words string) caring {
			return caring{func() string {
				got, err := same.Call(t.Context(), c.client.To("h1"), text{words})
				if err != nil {
					t.Error(err)
				}
				return got.Text
			}}
		}
		answered := rpc.NewCall[text, caringText](target, "answered")
		c.serve(rpc.ServerConfig{},
			same.Handle(handleSame),
			answered.Handle(func(_ context.Context, a text) (caringText, error) {
				return caringText{strings.Repeat("b", 20), ask("result " + a.Text), "after"}, nil
			}))
		for i := range 20 {
			words := fmt.Sprint("n", i, strings.Repeat("y", i))
			got, err := rpc.NewCall[caringText, json.RawMessage](target, "same").Call(t.Context(), c.client, caringText{"b", ask(words), "a"})
			if want := `{"text":"` + words + `"}`; err != nil || string(got) != want {
				t.Errorf("%s, %v; want %s", got, err, want)
			}
			raw, err := rpc.NewCall[text, json.RawMessage](target, "answered").Call(t.Context(), c.client, text{words})
			if want := `{"before":"` + strings.Repeat("b", 20) + `","text":"result ` + words + `","after":"after"}`; err != nil || string(raw) != want {
				t.Errorf("%s, %v; want %s", raw, err, want)
			}
		}
	})
}

// What ends in the middle of encoding leaves nothing behind for the next.
func TestEncodingEnds(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		ends := map[string]func() string{
			"panic":  func() string { panic("while it is encoded") },
			"goexit": func() string { runtime.Goexit(); return "" },
		}
		answered := rpc.NewCall[text, caringText](target, "answered")
		c.serve(rpc.ServerConfig{Workers: 1},
			same.Handle(handleSame),
			answered.Handle(func(_ context.Context, a text) (caringText, error) {
				return caringText{strings.Repeat("b", 20), caring{ends[a.Text]}, "after"}, nil
			}))
		for range 3 {
			for how, end := range ends {
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { _ = recover() }()
					_, err := rpc.NewCall[caringText, text](target, "same").Call(t.Context(), c.client, caringText{"b", caring{end}, "a"})
					t.Errorf("%s: arguments were encoded: %v", how, err)
				}()
				<-done
				if _, err := answered.Call(t.Context(), c.client, text{how}); err == nil {
					t.Errorf("%s: the result was encoded", how)
				}
				bad := rpc.NewCall[map[string]any, text](target, "same")
				if _, err := bad.Call(t.Context(), c.client, map[string]any{"text": "begun", "z": func() {}}); err == nil {
					t.Error("a function was encoded")
				}
				if got, err := same.Call(t.Context(), c.client, text{how}); err != nil || got.Text != how {
					t.Errorf("after a %s: %v, %v", how, got, err)
				}
			}
		}
	})
}

// A call that ends in a panic of its bus leaves its answer to nobody, and least of all to the next call.
func TestSendPanics(t *testing.T) {
	inCloud(t, func(c *cloud) {
		t := c.t
		c.serve(rpc.ServerConfig{}, store.Handle(func(_ context.Context, a json.RawMessage) (json.RawMessage, error) {
			<-time.After(time.Second)
			return a, nil
		}))
		bus := c.bus.Open(memory.Config{})
		defer func() { _ = bus.Close(context.Background()) }()
		panics := true
		client := rpc.NewClient(faulty{Transport: bus, send: func(ctx context.Context, to transport.Address, m *transport.Message) error {
			if !panics {
				return nil
			}
			panics = false
			_ = bus.Send(ctx, to, m) // it is the answer that tells
			panic("after it was sent")
		}}, rpc.ClientConfig{})
		defer func() { _ = client.Close(context.Background()) }()
		call := func(args string) (json.RawMessage, error) {
			defer func() { _ = recover() }()
			return store.Call(t.Context(), client, json.RawMessage(args))
		}
		for i := range 10 {
			panics = true
			if got, err := call(`{"first":0}`); got != nil || err != nil {
				t.Fatalf("the bus does not panic: %s, %v", got, err)
			}
			<-time.After(time.Millisecond)
			want := fmt.Sprintf(`{"next":%d}`, i)
			if got, err := call(want); err != nil || string(got) != want {
				t.Errorf("%s, %v; want %s", got, err, want)
			}
		}
		if s := client.Stats(); s.Waiting != 0 {
			t.Errorf("%d calls wait", s.Waiting)
		}
	})
}
