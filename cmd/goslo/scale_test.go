package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/goslo/goslo/internal/brokertest"
	"github.com/goslo/goslo/internal/management"
	"github.com/goslo/goslo/transport"
	"github.com/goslo/goslo/wire"
)

// The size of the bus of TestScale: servers with a connection and three queues each, clients with a reply queue, and reply queues that clients
// left behind.
const (
	scaleServers = 400
	scaleClients = 100
	scaleOrphans = 700
)

// TestScale has operators' commands look at 2,000 queues and 500 connections. How few requests they make is asserted; how long they take, on a machine
// with much else to do, is told.
func TestScale(t *testing.T) {
	t.Parallel()
	node := brokertest.RabbitManaged(t)
	vhost := node.NewVhost(t)
	start := time.Now()
	crowd(t, node.URLVhost(vhost))
	t.Logf("built in %s", time.Since(start).Round(time.Millisecond))

	client, err := management.New(management.Config{URL: node.ManagementURL(), Vhost: vhost})
	if err != nil {
		t.Fatal(err)
	}
	brokertest.Await(t, "the broker has statistics of all queues", func() bool {
		queues, err := client.Queues(t.Context())
		orphans := slices.DeleteFunc(queues, func(q management.Queue) bool { return q.Consumers == nil || *q.Consumers > 0 })
		return err == nil && len(orphans) == scaleOrphans
	})
	client.Close()
	api, err := url.Parse(node.ManagementURL())
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(api)
	counting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(counting.Close)

	s := newShell(t).with("GOSLO_URL=" + node.URLVhost(vhost))
	for _, test := range []struct {
		args []string
		code int
		most int64 // requests to the management API
		want string
	}{
		{[]string{"ls"}, 0, 16, "compute"},
		{[]string{"doctor"}, 0, 20, fmt.Sprintf("B05 orphans  %d queues", scaleOrphans)},
		{[]string{"orphans"}, 6, 16, fmt.Sprintf("%d orphans", scaleOrphans)},
		{[]string{"top", "--once"}, 0, 16, fmt.Sprint(scaleServers)},
		{[]string{"ping", "compute", "--all", "--timeout", "1m", "--slow", "1m"}, 0, 16, fmt.Sprintf("%d ok\n", scaleServers)},
	} {
		requests.Store(0)
		r := s.run(t, append(test.args, "--management", counting.URL)...).want(t, test.code)
		n := requests.Load()
		t.Logf("goslo %s: %s, %d requests", strings.Join(test.args, " "), r.took.Round(time.Millisecond), n)
		if n == 0 || n > test.most {
			t.Errorf("goslo %v: %d requests to the management API, want at most %d", test.args, n, test.most)
		}
		if !strings.Contains(r.out, test.want) {
			t.Errorf("goslo %v: %q is not in %.2000s", test.args, test.want, r.out)
		}
	}
}

// crowd is a bus of that size, made with plain AMQP under the names that oslo.messaging uses, as it ends with the test. Its servers answer that they
// have no such method.
func crowd(t *testing.T, url string) {
	t.Helper()
	var (
		mu    sync.Mutex
		conns []*amqp.Connection
		work  sync.WaitGroup
	)
	t.Cleanup(func() {
		var closing sync.WaitGroup
		for _, c := range conns {
			closing.Go(func() { _ = c.Close() })
		}
		closing.Wait()
	})
	dial := func(program string, n int) *amqp.Channel {
		conn, err := amqp.DialConfig(strings.Replace(url, "rabbit://", "amqp://", 1), amqp.Config{
			Properties: amqp.Table{"connection_name": fmt.Sprintf("%s:%d:%s", program, 1000+n, wire.NewUUID())},
		})
		if err != nil {
			t.Error(err)
			return nil
		}
		mu.Lock()
		conns = append(conns, conn)
		mu.Unlock()
		ch, err := conn.Channel()
		if err != nil {
			t.Error(err)
			return nil
		}
		return ch
	}
	first := dial("nova-conductor", 0)
	if first == nil {
		t.FailNow()
	}
	for _, x := range [][2]string{{"nova", "topic"}, {"compute_fanout", "fanout"}} {
		if err := first.ExchangeDeclare(x[0], x[1], false, false, false, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	jobs := make(chan func())
	for range 16 {
		work.Go(func() {
			for job := range jobs {
				job()
			}
		})
	}
	expiring := amqp.Table{"x-expires": int32(1800000)}
	for i := range scaleServers {
		jobs <- func() {
			ch := dial("nova-compute", i)
			if ch == nil {
				return
			}
			host := fmt.Sprintf("cmp-%03d", i)
			mine := declare(t, ch, "compute."+host, nil, "nova", "compute."+host)
			declare(t, ch, "compute", nil, "nova", "compute")
			declare(t, ch, "compute_fanout_"+wire.NewID(), expiring, "compute_fanout", "compute")
			declare(t, ch, "reply_"+wire.NewID(), expiring, "", "")
			go refuse(ch, mine) // ends with its channel
		}
	}
	for i := range scaleClients - 1 {
		jobs <- func() {
			if ch := dial("nova-api", i); ch != nil {
				declare(t, ch, "reply_"+wire.NewID(), expiring, "", "")
			}
		}
	}
	close(jobs)
	work.Wait()
	for range scaleOrphans {
		if _, err := first.QueueDeclare("reply_"+wire.NewID(), false, false, false, false, expiring); err != nil {
			t.Fatal(err)
		}
	}
}

// declare makes a queue, binds it, and consumes from it.
func declare(t *testing.T, ch *amqp.Channel, queue string, args amqp.Table, exchange, key string) <-chan amqp.Delivery {
	t.Helper()
	_, err := ch.QueueDeclare(queue, false, false, false, false, args)
	if err == nil && exchange != "" {
		err = ch.QueueBind(queue, key, exchange, false, nil)
	}
	var deliveries <-chan amqp.Delivery
	if err == nil {
		deliveries, err = ch.Consume(queue, "", true, false, false, false, nil)
	}
	if err != nil {
		t.Errorf("queue %s: %v", queue, err)
	}
	return deliveries
}

// refuse answers requests as a server does that has no such method.
func refuse(ch *amqp.Channel, requests <-chan amqp.Delivery) {
	for d := range requests {
		m, err := wire.Parse(d.Body)
		if err != nil {
			continue
		}
		body, err := wire.AppendEnvelope(nil, &transport.Message{
			ID: m.ID, Ending: true, Failure: []byte(`{"class":"NoSuchMethod","module":"oslo_messaging.rpc.dispatcher","message":"","tb":[],"args":[],"kwargs":{}}`),
		})
		if err == nil {
			_ = ch.Publish("", m.ReplyTo, false, false, amqp.Publishing{ContentType: "application/json", ContentEncoding: "utf-8", Body: body})
		}
	}
}
