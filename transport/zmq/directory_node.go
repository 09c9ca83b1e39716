//go:build zmq

package zmq

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/goslo/goslo/transport"
)

const (
	redisPatience   = 2 * time.Second        // for one answer
	redisPauseFirst = 25 * time.Millisecond  // between looks whether Redis is back
	redisPauseMost  = 500 * time.Millisecond // the same, when it has been away for longer
)

// What the scripts have in common: they forget entries whose time has come, and let the topic, the set KEYS[1], go with its last
// entry. All instants are by Redis's clock.
const tidy = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function tidy()
	redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
	local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
	if last then redis.call('PEXPIREAT', KEYS[1], last) end
end
`

// The scripts.
var (
	// announcing puts an entry into a topic, and tells whoever watches when it is new.
	// ARGV: milliseconds until the entry is forgotten, the channel, the entry.
	announcing = redis.NewScript(tidy + `
local new = redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[3])
tidy()
if new == 1 then redis.call('PUBLISH', ARGV[2], '+' .. KEYS[1]) end
`)
	// withdrawing takes an entry away, and tells whoever watches. ARGV: the channel, the entry.
	withdrawing = redis.NewScript(tidy + `
local found = redis.call('ZREM', KEYS[1], ARGV[2])
tidy()
if found == 1 then redis.call('PUBLISH', ARGV[1], '-' .. KEYS[1] .. ' ' .. ARGV[2]) end
`)
	// reporting shortens the life of an entry whose process was found dead. ARGV: milliseconds left, the entry.
	reporting = redis.NewScript(tidy + `
local score = redis.call('ZSCORE', KEYS[1], ARGV[2])
if score and tonumber(score) > now + ARGV[1] then redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[2]) end
tidy()
`)
)

// A redisNode is one Redis of the directory.
type redisNode struct {
	directory *redisDirectory
	addr      string
	client    *redis.Client
	writing   chan struct{} // a token: who has it tells Redis what we serve, which is I/O and ends with its context
	kick      chan struct{} // has reports sent
	wanted    chan struct{} // has it looked for at once while it is away

	mu           sync.Mutex
	subscription *redis.PubSub // nil = none
	reports      [][2]string   // key and entry

	// Guarded by directory.mu.
	since time.Time // it does not answer since then; zero = it does
	cause error
	known bool      // it has answered before
	told  bool      // it was told what we serve, or is being told, since it went away last
	keep  time.Time // until then it may know less than it did before it was away
}

func newRedisNode(d *redisDirectory, h transport.Host) *redisNode {
	n := &redisNode{
		directory: d, addr: h.Addr(redisPort), writing: make(chan struct{}, 1), kick: make(chan struct{}, 1), wanted: make(chan struct{}, 1),
		since: time.Now(), cause: errors.New("not connected yet"),
	}
	dial := (&net.Dialer{}).DialContext
	if c := d.options.tls; c != nil {
		dial = (&tls.Dialer{Config: c}).DialContext
	}
	n.client = redis.NewClient(&redis.Options{
		Addr: n.addr, Username: h.Username, Password: h.Password, DB: d.options.db, Protocol: 2,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return lateFailure(dial(ctx, network, addr))
		},
		MaxRetries: -1, DialTimeout: redisPatience, ReadTimeout: redisPatience, WriteTimeout: redisPatience,
		ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	return n
}

// A failedConn is a connection that could not be made. The client writes to the standard error stream of the process when it
// cannot connect, and that is not for it to use; what fails later it only returns.
type failedConn struct {
	net.Conn // of a pipe, for the rest
	err      error
}

func lateFailure(conn net.Conn, err error) (net.Conn, error) {
	if err == nil {
		return conn, nil
	}
	ours, _ := net.Pipe()
	return failedConn{ours, err}, nil
}

// Read returns why there is no connection.
func (c failedConn) Read([]byte) (int, error) { return 0, c.err }

// Write returns why there is no connection.
func (c failedConn) Write([]byte) (int, error) { return 0, c.err }

// check says whether Redis answers and takes us for who we are.
func (n *redisNode) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*redisPatience)
	defer cancel()
	if err := n.client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("redis %s: %w", n.addr, err)
	}
	n.raise()
	return nil
}

// watch keeps a subscription to changes, and hears by it whether Redis is there.
func (n *redisNode) watch(ctx context.Context) {
	pause := redisPauseFirst
	for {
		began := time.Now()
		err := n.session(ctx)
		if ctx.Err() != nil {
			return
		}
		n.fall(err)
		n.directory.missedOne()
		if time.Since(began) > redisPauseMost {
			pause = redisPauseFirst
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-n.wanted:
			pause = redisPauseFirst
			t.Reset(pause)
			select {
			case <-t.C:
			case <-ctx.Done():
			}
		case <-ctx.Done():
		}
		t.Stop()
		pause = min(2*pause, redisPauseMost)
	}
}

// session subscribes, tells Redis what we serve, reads what we watch, and then hears of changes until Redis is away.
func (n *redisNode) session(ctx context.Context) error {
	sub := n.client.Subscribe(ctx, n.directory.channel)
	n.mu.Lock()
	n.subscription = sub
	n.mu.Unlock()
	defer n.interrupt()
	if ctx.Err() != nil { // else close has not seen it
		return ctx.Err()
	}
	if _, err := sub.ReceiveTimeout(ctx, redisPatience); err != nil {
		return err
	}
	n.directory.settle(n)
	if err := n.announceAll(ctx); err != nil {
		return err
	}
	if err := n.read(ctx, n.directory.watched()...); err != nil {
		return err
	}
	n.raise()
	silent := false
	for {
		heard, err := sub.ReceiveTimeout(ctx, max(n.directory.options.update, redisPatience))
		var timeout net.Error
		switch {
		case err == nil:
			silent = false
		case errors.As(err, &timeout) && timeout.Timeout() && !silent:
			silent = true
			err = sub.Ping(ctx)
		}
		if err != nil {
			return err
		}
		if m, ok := heard.(*redis.Message); ok {
			if err := n.changed(ctx, m.Payload); err != nil {
				return err
			}
		}
	}
}

// changed reads a topic again that somebody has joined, or forgets who has left.
func (n *redisNode) changed(ctx context.Context, payload string) error {
	if key, ok := strings.CutPrefix(payload, "+"); ok {
		if n.directory.isWatched(key) {
			return n.read(ctx, key)
		}
		return nil
	}
	if rest, ok := strings.CutPrefix(payload, "-"); ok {
		if key, text, ok := strings.Cut(rest, " "); ok {
			n.directory.withdrawn(key, text)
		}
	}
	return nil
}

// renew tells Redis again what we serve, reads what we watch, and sends reports of the dead.
func (n *redisNode) renew(ctx context.Context) {
	tick := time.NewTicker(n.directory.options.update)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-n.kick:
			err = n.sendReports(ctx)
		case <-tick.C:
			if !n.isUp() {
				continue
			}
			if err = n.announceAll(ctx); err == nil {
				err = n.read(ctx, n.directory.watched()...)
			}
		}
		if err != nil && ctx.Err() == nil {
			n.fall(err)
		}
	}
}

// report has Redis told, by and by, that an entry's process is dead.
func (n *redisNode) report(key, text string) {
	n.mu.Lock()
	n.reports = append(n.reports, [2]string{key, text})
	n.mu.Unlock()
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

func (n *redisNode) sendReports(ctx context.Context) error {
	n.mu.Lock()
	reports := n.reports
	n.reports = nil
	n.mu.Unlock()
	if !n.isUp() {
		return nil
	}
	left := (n.directory.options.update + n.directory.options.update/2).Milliseconds()
	for _, r := range reports {
		if err := n.run(ctx, reporting, r[0], left, r[1]); err != nil {
			return err
		}
	}
	return nil
}

// announceAll tells Redis all that we serve. Nothing of that is withdrawn meanwhile.
func (n *redisNode) announceAll(ctx context.Context) error {
	return n.write(ctx, func() error { return n.put(ctx, n.directory.ours()) })
}

// announce tells Redis some of what we serve.
func (n *redisNode) announce(ctx context.Context, services map[service]string) error {
	return n.write(ctx, func() error { return n.put(ctx, services) })
}

func (n *redisNode) put(ctx context.Context, services map[service]string) error {
	for s, text := range services {
		if err := n.run(ctx, announcing, n.directory.key(s.Exchange, s.Topic), n.directory.options.expire.Milliseconds(), n.directory.channel, text); err != nil {
			return err
		}
	}
	return nil
}

// withdraw takes back what we served.
func (n *redisNode) withdraw(ctx context.Context, services map[service]string) error {
	return n.write(ctx, func() error {
		for s, text := range services {
			if err := n.run(ctx, withdrawing, n.directory.key(s.Exchange, s.Topic), n.directory.channel, text); err != nil {
				return err
			}
		}
		return nil
	})
}

// write is for one at a time.
func (n *redisNode) write(ctx context.Context, what func() error) error {
	select {
	case n.writing <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-n.writing }()
	return what()
}

// run runs a script on a topic.
func (n *redisNode) run(ctx context.Context, s *redis.Script, key string, args ...any) error {
	return n.ask(ctx, func(ctx context.Context) error {
		if err := s.Run(ctx, n.client, []string{key}, args...).Err(); !errors.Is(err, redis.Nil) {
			return err
		}
		return nil
	})
}

// read asks what Redis knows of topics, and remembers it.
func (n *redisNode) read(ctx context.Context, keys ...string) error {
	if len(keys) == 0 {
		return nil
	}
	return n.ask(ctx, func(ctx context.Context) error {
		pipe := n.client.Pipeline()
		clock := pipe.Time(ctx)
		answers := make([]*redis.ZSliceCmd, len(keys))
		for i, key := range keys {
			answers[i] = pipe.ZRangeWithScores(ctx, key, 0, -1)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
		for i, key := range keys {
			n.directory.store(n, key, clock.Val(), rows(answers[i].Val(), clock.Val().UnixMilli()))
		}
		return nil
	})
}

// rows are the entries that have not expired. What is no entry of ours is left out.
func rows(list []redis.Z, now int64) []row {
	rows := make([]row, 0, len(list))
	for _, z := range list {
		r := row{expires: int64(z.Score)}
		text, ok := z.Member.(string)
		if ok && r.expires > now && json.Unmarshal([]byte(text), &r.entry) == nil && r.entry.ID != "" {
			r.text = text
			rows = append(rows, r)
		}
	}
	return rows
}

// keys lists keys that begin with prefix.
func (n *redisNode) keys(ctx context.Context, prefix string) (keys []string, err error) {
	err = n.ask(ctx, func(ctx context.Context) error {
		all := n.client.Scan(ctx, 0, prefix+"*", 1000).Iterator()
		for all.Next(ctx) {
			keys = append(keys, all.Val())
		}
		return all.Err()
	})
	return keys, err
}

// ask bounds a question. A Redis that does not answer in time is one that is away, unless it is the caller who has no time.
func (n *redisNode) ask(ctx context.Context, question func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, redisPatience)
	defer cancel()
	err := question(limited)
	if err == nil {
		return nil
	}
	var refusal redis.Error
	if !errors.As(err, &refusal) && ctx.Err() == nil {
		n.fall(err)
	}
	return fmt.Errorf("redis %s: %w", n.addr, err)
}

// fall says that Redis does not answer. Its session ends, and a new one begins when it is back.
func (n *redisNode) fall(err error) {
	if n.directory.fell(n, err) {
		n.directory.log.Warn("zmq: the directory does not answer; going on with what is known", "redis", n.addr, "error", err)
	}
	n.interrupt()
}

// raise says that Redis answers.
func (n *redisNode) raise() {
	if away, first := n.directory.rose(n); away > 0 && !first {
		n.directory.log.Info("zmq: the directory is back, and knows us again", "redis", n.addr, "away", away)
	}
}

func (n *redisNode) isUp() bool {
	n.directory.mu.Lock()
	defer n.directory.mu.Unlock()
	return n.since.IsZero()
}

// interrupt ends the session.
func (n *redisNode) interrupt() {
	n.mu.Lock()
	sub := n.subscription
	n.subscription = nil
	n.mu.Unlock()
	if sub != nil {
		_ = sub.Close() // its session tells why
	}
}
