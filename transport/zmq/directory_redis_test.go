//go:build zmq

package zmq

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/transport"
)

// logs gathers what is logged.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func directoryContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// readURL reads a URL, with a folder of sockets of the test's own.
func readURL(t testing.TB, url string) (*settings, error) {
	t.Helper()
	u, err := transport.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := Config{URL: u, Settings: []transport.Setting{{Name: "rpc_zmq_ipc_dir", Value: t.TempDir()}}}.read()
	return s, err
}

// openDirectory opens the directory of a URL as a member called id, and closes it with the test.
func openDirectory(t testing.TB, url, id string, log *slog.Logger) directory {
	t.Helper()
	s, err := readURL(t, url)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := s.openDirectory(directoryContext(t), log)
	if err == nil {
		err = opened.join(directoryContext(t), member{ID: id, Host: "host-" + id, Endpoints: []string{"tcp://127.0.0.1:1" + id}})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		_ = opened.close(ctx) // what a test makes of Redis may be an error here
	})
	return opened
}

func redisURL(addr, rest string) string { return "zmq+redis://" + addr + "/" + rest }

// who is what a find returned, as "id:server,server".
func who(list []provider) []string {
	all := make([]string, 0, len(list))
	for _, p := range list {
		servers := slices.Sorted(slices.Values(p.Servers))
		all = append(all, p.ID+":"+strings.Join(servers, ","))
	}
	slices.Sort(all)
	return all
}

func expect(t testing.TB, d directory, exchange, topic string, want ...string) {
	t.Helper()
	list, err := d.find(directoryContext(t), exchange, topic, true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append([]string{}, want...), who(list)); diff != "" {
		t.Errorf("who serves %s/%s (-want +got):\n%s", exchange, topic, diff)
	}
}

// awaitWho waits until memory alone says who serves a topic.
func awaitWho(t testing.TB, d directory, exchange, topic string, want ...string) {
	t.Helper()
	var got []string
	defer func() {
		if t.Failed() {
			t.Logf("the last that was known: %v, want %v", got, want)
		}
	}()
	brokertest.Await(t, "the directory knows", func() bool {
		list, err := d.find(directoryContext(t), exchange, topic, false)
		if err != nil {
			t.Fatal(err)
		}
		got = who(list)
		return slices.Equal(got, append([]string{}, want...))
	})
}

func serve(t testing.TB, d directory, list ...service) {
	t.Helper()
	for _, s := range list {
		if err := d.serve(directoryContext(t), s); err != nil {
			t.Fatal(err)
		}
	}
}

// redisClient is the test's own way to Redis.
func redisClient(t testing.TB, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestRedisTellsWhoServes(t *testing.T) {
	t.Parallel()
	node := brokertest.NewRedis(t, brokertest.RedisOptions{})
	url := redisURL(node.Addr(), "?zmq_target_update=5") // by polling it would be too late
	a, b, c := openDirectory(t, url, "a", slog.New(slog.DiscardHandler)), openDirectory(t, url, "b", slog.New(slog.DiscardHandler)), openDirectory(t, url, "c", slog.New(slog.DiscardHandler))
	expect(t, c, "nova", "compute")
	serve(t, a, service{"nova", "compute", "h1"}, service{"nova", "compute", "h1"}, service{"nova", "compute", "h2"})
	expect(t, c, "nova", "compute", "a:h1,h2")
	serve(t, b, service{"nova", "compute", "h3"})
	expect(t, c, "nova", "compute", "a:h1,h2", "b:h3")
	expect(t, a, "nova", "compute", "a:h1,h2", "b:h3")

	list, err := c.find(t.Context(), "nova", "compute", false)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(p provider) bool { return p.ID == "b" })
	want := member{ID: "b", Host: "host-b", Endpoints: []string{"tcp://127.0.0.1:1b"}}
	if diff := cmp.Diff(want, list[i].member); diff != "" || list[i].Unasked {
		t.Errorf("member (-want +got):\n%s", diff)
	}

	if err := a.unserve(t.Context(), service{"nova", "compute", "h1"}); err != nil {
		t.Fatal(err)
	}
	expect(t, b, "nova", "compute", "a:h2", "b:h3")
	awaitWho(t, c, "nova", "compute", "a:h2", "b:h3")
	if err := a.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitWho(t, c, "nova", "compute", "b:h3")
}

// Exchanges and topics are what they are: none is found under another's name, however they are put together.
func TestRedisNamesDoNotCollide(t *testing.T) {
	t.Parallel()
	node := brokertest.NewRedis(t, brokertest.RedisOptions{})
	services := []service{{"a", "b", "1"}, {"a:b", "c", "2"}, {"a", "b:c", "3"}, {"a", "b*", "4"}, {"a", "bc", "5"}, {"a%3Ab", "c", "6"}, {"ä", "b c", "7"}}
	d := openDirectory(t, redisURL(node.Addr(), "v"), "m", slog.New(slog.DiscardHandler))
	other := openDirectory(t, redisURL(node.Addr(), "v:a"), "o", slog.New(slog.DiscardHandler))
	serve(t, d, services...)
	serve(t, other, service{"b", "c", "8"})
	asking := openDirectory(t, redisURL(node.Addr(), "v"), "x", slog.New(slog.DiscardHandler))
	for _, s := range services {
		expect(t, asking, s.Exchange, s.Topic, "m:"+s.Server)
	}
	expect(t, asking, "a", "")
	topics, err := asking.topics(t.Context(), "a")
	slices.Sort(topics)
	if want := []string{"b", "b*", "b:c", "bc"}; err != nil || !slices.Equal(topics, want) {
		t.Errorf("topics of a: %q, %v; want %q", topics, err, want)
	}
}

func TestRedisKeepsNothing(t *testing.T) {
	t.Parallel()
	node := brokertest.NewRedis(t, brokertest.RedisOptions{})
	client := redisClient(t, node.Addr())
	clean := openDirectory(t, redisURL(node.Addr(), ""), "a", slog.New(slog.DiscardHandler))
	killed := openDirectory(t, redisURL(node.Addr(), "?zmq_target_expire=1"), "b", slog.New(slog.DiscardHandler)).(*redisDirectory)
	serve(t, clean, service{"nova", "compute", "h1"}, service{"nova", "conductor", "h1"})
	serve(t, killed, service{"nova", "compute", "h2"}, service{"nova", "scheduler", "h2"})
	if n := client.DBSize(t.Context()).Val(); n != 3 {
		t.Fatalf("there are %d keys, want 3", n)
	}
	// What a process that was killed leaves: nobody renews, nobody withdraws.
	killed.mu.Lock()
	clear(killed.services)
	killed.mu.Unlock()
	brokertest.Await(t, "what nobody renews is forgotten", func() bool { return client.DBSize(t.Context()).Val() == 2 })
	expect(t, clean, "nova", "compute", "a:h1")
	if err := clean.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if keys := client.Keys(t.Context(), "*").Val(); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
}

func TestRedisRenews(t *testing.T) {
	t.Parallel()
	node := brokertest.NewRedis(t, brokertest.RedisOptions{})
	client := redisClient(t, node.Addr())
	a := openDirectory(t, redisURL(node.Addr(), "?zmq_target_expire=1&zmq_target_update=0.2"), "a", slog.New(slog.DiscardHandler))
	b := openDirectory(t, redisURL(node.Addr(), ""), "b", slog.New(slog.DiscardHandler))
	serve(t, a, service{"nova", "compute", "h1"})
	score := func() float64 {
		list := client.ZRangeWithScores(t.Context(), "goslo:zmq::nova:compute", 0, -1).Val()
		if len(list) != 1 {
			t.Fatalf("the topic has %d entries, want 1", len(list))
		}
		return list[0].Score
	}
	first := score()
	brokertest.Await(t, "the entry was renewed beyond its first life", func() bool { return score() > first+1500 })
	expect(t, b, "nova", "compute", "a:h1")
}

// Who was found dead is left out at once, and has a short life elsewhere, until it shows that it lives.
func TestRedisLeavesOutTheDead(t *testing.T) {
	t.Parallel()
	node := brokertest.NewRedis(t, brokertest.RedisOptions{})
	client := redisClient(t, node.Addr())
	a := openDirectory(t, redisURL(node.Addr(), "?zmq_target_expire=60&zmq_target_update=2"), "a", slog.New(slog.DiscardHandler))
	b := openDirectory(t, redisURL(node.Addr(), "?zmq_target_expire=60&zmq_target_update=0.2"), "b", slog.New(slog.DiscardHandler))
	serve(t, a, service{"nova", "compute", "h1"})
	expect(t, b, "nova", "compute", "a:h1")
	b.gone(member{ID: "a"})
	list, err := b.find(t.Context(), "nova", "compute", false)
	if err != nil || len(list) != 0 {
		t.Errorf("at once afterwards: %v, %v", who(list), err)
	}
	brokertest.Await(t, "its life is cut short", func() bool {
		return client.PTTL(t.Context(), "goslo:zmq::nova:compute").Val() < 10*time.Second
	})
	awaitWho(t, b, "nova", "compute", "a:h1") // it has renewed
}

func TestRedisAway(t *testing.T) {
	t.Parallel()
	node := brokertest.NewRedis(t, brokertest.RedisOptions{})
	var said logs
	url := redisURL(node.Addr(), "?zmq_target_expire=60") // so that nothing but its return brings them back in time
	a, b := openDirectory(t, url, "a", slog.New(slog.DiscardHandler)), openDirectory(t, url, "b", said.logger())
	serve(t, a, service{"nova", "compute", "h1"})
	expect(t, b, "nova", "compute", "a:h1")
	node.Kill()
	for range 3 {
		expect(t, b, "nova", "compute", "a:h1") // from memory
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := b.find(short, "nova", "scheduler", true); err == nil || !strings.Contains(err.Error(), node.Addr()) {
		t.Errorf("of a topic nobody has asked for: %v", err)
	}
	served := make(chan error, 1)
	go func() { served <- a.serve(directoryContext(t), service{"nova", "conductor", "h1"}) }()
	node.Restart(t) // with nothing in it
	if err := <-served; err != nil {
		t.Errorf("what was to be announced meanwhile: %v", err)
	}
	expect(t, b, "nova", "compute", "a:h1") // also before they have announced themselves again
	expect(t, b, "nova", "conductor", "a:h1")
	client := redisClient(t, node.Addr())
	brokertest.Await(t, "servers have announced themselves again", func() bool {
		return client.ZCard(t.Context(), "goslo:zmq::nova:compute").Val() == 1
	})
	c := openDirectory(t, url, "c", slog.New(slog.DiscardHandler))
	expect(t, c, "nova", "compute", "a:h1")
	if err := a.close(t.Context()); err != nil {
		t.Error(err)
	}
	awaitWho(t, b, "nova", "compute") // what is kept after an outage goes when its owner says so
	brokertest.Await(t, "the outage is logged", func() bool {
		return strings.Contains(said.String(), "the directory does not answer") && strings.Contains(said.String(), "the directory is back")
	})
}

// A Redis that takes connections and never answers is one that is away.
func TestRedisHangs(t *testing.T) {
	t.Parallel()
	node := brokertest.NewRedis(t, brokertest.RedisOptions{})
	url := redisURL(node.Addr(), "")
	a, b := openDirectory(t, url, "a", slog.New(slog.DiscardHandler)), openDirectory(t, url, "b", slog.New(slog.DiscardHandler))
	serve(t, a, service{"nova", "compute", "h1"})
	expect(t, b, "nova", "compute", "a:h1")
	node.Pause(t)
	expect(t, b, "nova", "compute", "a:h1")
	node.Resume(t)
	serve(t, a, service{"nova", "compute", "h2"})
	awaitWho(t, b, "nova", "compute", "a:h1,h2")
}

func TestRedisSeveralHosts(t *testing.T) {
	t.Parallel()
	one, two := brokertest.NewRedis(t, brokertest.RedisOptions{}), brokertest.NewRedis(t, brokertest.RedisOptions{})
	url := redisURL(one.Addr()+","+two.Addr(), "")
	a, b := openDirectory(t, url, "a", slog.New(slog.DiscardHandler)), openDirectory(t, url, "b", slog.New(slog.DiscardHandler))
	only := openDirectory(t, redisURL(two.Addr(), ""), "c", slog.New(slog.DiscardHandler))
	serve(t, a, service{"nova", "compute", "h1"})
	expect(t, only, "nova", "compute", "a:h1")
	expect(t, b, "nova", "compute", "a:h1")
	two.Kill()
	serve(t, a, service{"nova", "compute", "h2"})
	expect(t, b, "nova", "compute", "a:h1,h2")
	one.Kill()
	two.Restart(t)
	awaitWho(t, only, "nova", "compute", "a:h1,h2")
	if err := a.unserve(directoryContext(t), service{"nova", "compute", "h1"}); err != nil {
		t.Errorf("%v", err)
	}
	awaitWho(t, b, "nova", "compute", "a:h2")
}

// What is withdrawn just as a Redis that was away is told of it is not left there until it is forgotten.
func TestRedisWithdrawnWhileItComesBack(t *testing.T) {
	t.Parallel()
	node := brokertest.NewRedis(t, brokertest.RedisOptions{})
	url := redisURL(node.Addr(), "")
	a, b := openDirectory(t, url, "a", slog.New(slog.DiscardHandler)), openDirectory(t, url, "b", slog.New(slog.DiscardHandler))
	serve(t, a, service{"nova", "compute", "h1"})
	expect(t, b, "nova", "compute", "a:h1")
	d := a.(*redisDirectory)
	d.fell(d.nodes[0], errors.New("it was away"))
	d.settle(d.nodes[0]) // what a new session does first
	if err := a.unserve(directoryContext(t), service{"nova", "compute", "h1"}); err != nil {
		t.Error(err)
	}
	expect(t, b, "nova", "compute")
}

func TestRedisAsksForThePassword(t *testing.T) {
	t.Parallel()
	// As docs/zmq.md lists them for operators.
	const rights = "+ping +select +time +eval +evalsha +zadd +zrem +zrange +zscore +zremrangebyscore +pexpireat +publish +subscribe +scan"
	node := brokertest.NewRedis(t, brokertest.RedisOptions{Config: "requirepass hush-hush\nuser nova on >nova-secret ~goslo:zmq:* &goslo:zmq:* " + rights})
	var said logs
	for _, credentials := range []string{":hush-hush@", "nova:nova-secret@"} {
		d := openDirectory(t, "zmq+redis://"+credentials+node.Addr()+"/", "a", said.logger())
		serve(t, d, service{"nova", "compute", "h1"})
		expect(t, d, "nova", "compute", "a:h1")
		if topics, err := d.topics(t.Context(), "nova"); err != nil || !slices.Equal(topics, []string{"compute"}) {
			t.Errorf("topics: %q, %v", topics, err)
		}
		d.gone(member{ID: "a"})
		if err := d.unserve(t.Context(), service{"nova", "compute", "h1"}); err != nil {
			t.Error(err)
		}
	}
	d, err := readURL(t, "zmq+redis://nova:wrong-secret@"+node.Addr()+"/")
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.openDirectory(directoryContext(t), said.logger())
	if err == nil || !strings.Contains(err.Error(), "WRONGPASS") || !strings.Contains(err.Error(), node.Addr()) {
		t.Errorf("with a wrong password: %v", err)
	}
	for _, text := range []string{said.String(), fmt.Sprint(err)} {
		if strings.Contains(text, "secret") || strings.Contains(text, "hush") {
			t.Errorf("a password is shown: %s", text)
		}
	}
}

// withTLS puts TLS before a server, and returns where.
func withTLS(t testing.TB, target string, c *tls.Config) string {
	t.Helper()
	l, err := tls.Listen("tcp4", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	pass := func(client net.Conn) {
		defer client.Close()
		server, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		defer server.Close()
		work.Go(func() {
			_, _ = io.Copy(client, server)
			_ = client.Close()
		})
		_, _ = io.Copy(server, client)
	}
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() { pass(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		work.Wait()
	})
	return l.Addr().String()
}

func TestRedisByTLS(t *testing.T) {
	t.Parallel()
	authority := brokertest.NewAuthority(t, "ca")
	authority.SignServer(t, "redis", time.Now().Add(time.Hour), "localhost")
	authority.SignClient(t, "nova", time.Now().Add(time.Hour))
	pair, err := tls.LoadX509KeyPair(authority.File("redis"), authority.KeyFile("redis"))
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(authority.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	node := brokertest.NewRedis(t, brokertest.RedisOptions{})
	addr := withTLS(t, node.Addr(), &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert})
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	files := fmt.Sprintf("?tls=true&tls_ca=%s&tls_cert=%s&tls_key=%s", authority.CAFile(), authority.File("nova"), authority.KeyFile("nova"))
	d := openDirectory(t, redisURL("localhost:"+port, files), "a", slog.New(slog.DiscardHandler))
	serve(t, d, service{"nova", "compute", "h1"})
	expect(t, d, "nova", "compute", "a:h1")

	o, err := readURL(t, redisURL(addr, files)) // the certificate is for localhost
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.openDirectory(directoryContext(t), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("with another host's certificate: %v", err)
	}
}

func TestRedisNobodyAnswers(t *testing.T) {
	t.Parallel()
	node := brokertest.NewRedis(t, brokertest.RedisOptions{})
	node.Kill()
	d, err := readURL(t, redisURL(node.Addr(), ""))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, err = d.openDirectory(directoryContext(t), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "connection refused") || time.Since(began) > 10*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}
