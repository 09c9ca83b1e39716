package logline_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/internal/logline"
)

const (
	msg  = "b04a7a0a5f3c4a2b8d9e0f1a2b3c4d5e"
	conn = "2314a169-5b5c-4e0e-9d5a-6f1d2c3b4a59"
)

func TestParse(t *testing.T) {
	t.Parallel()
	type event = logline.Event
	unreachable := func(cause logline.Cause, reason string) event {
		return event{
			Symptom: logline.Unreachable, Cause: cause, Reason: reason,
			Broker:  logline.Broker{Address: "10.0.0.5:5672", Connection: conn},
			Numbers: logline.Numbers{Seconds: "1"},
		}
	}
	server := func(reason string) string {
		return "[" + conn + "] AMQP server on 10.0.0.5:5672 is unreachable: " + reason + ". Trying again in 1 seconds."
	}
	for line, want := range map[string]event{
		"MessagingTimeout: Timed out waiting for a reply to message ID " + msg:                                                       {Symptom: logline.Timeout, MessageID: msg},
		"Timed out waiting for a reply reply_f7b9 to message ID " + msg + ".":                                                        {Symptom: logline.Timeout, MessageID: msg, ReplyQueue: "reply_f7b9"},
		"MessagingTimeout: ('Timed out waiting for a reply to message ID %s.', '" + msg + "')":                                       {Symptom: logline.Timeout, MessageID: msg},
		"('Timed out waiting for a reply %(reply_q)s to message ID %(msg_id)s.', {'msg_id': 'm1', 'reply_q': 'reply_ctl-1:nova:3'})": {Symptom: logline.Timeout, MessageID: "m1", ReplyQueue: "reply_ctl-1:nova:3"},
		"reply_f7b9 doesn't exist, drop reply to " + msg:                                                                             {Symptom: logline.ReplyDropped, MessageID: msg, ReplyQueue: "reply_f7b9"},
		"The reply " + msg + " failed to send after 60 seconds due to a missing queue (reply_f7b9). Abandoning...": {
			Symptom: logline.ReplyDropped, MessageID: msg, ReplyQueue: "reply_f7b9", Numbers: logline.Numbers{Seconds: "60"},
		},
		"MessageUndeliverable error, source exception: (0, 0): (312) NO_ROUTE, routing_key: reply_f7b9, exchange: : ": {
			Symptom: logline.Undeliverable, ReplyQueue: "reply_f7b9", Reason: "(0, 0): (312) NO_ROUTE", Object: logline.Object{Key: "reply_f7b9"},
		},
		"oslo_messaging.exceptions.MessageUndeliverable":                                        {Symptom: logline.Undeliverable},
		"No calling threads waiting for msg_id : " + msg:                                        {Symptom: logline.LateReply, MessageID: msg},
		server("[Errno 111] ECONNREFUSED"):                                                      unreachable(logline.Refused, "[Errno 111] ECONNREFUSED"),
		server("Basic.cancel: (0) 1"):                                                           unreachable(logline.ConsumerCancel, "Basic.cancel: (0) 1"),
		server("Too many heartbeats missed"):                                                    unreachable(logline.HeartbeatMissed, "Too many heartbeats missed"),
		server("timed out"):                                                                     unreachable(logline.TimedOut, "timed out"),
		server("[Errno 104] Connection reset by peer"):                                          unreachable(logline.Reset, "[Errno 104] Connection reset by peer"),
		server("[Errno -2] Name or service not known"):                                          unreachable(logline.NoName, "[Errno -2] Name or service not known"),
		server("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch"): unreachable(logline.TLS, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch"),
		server("(0, 0): (320) CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"): unreachable(
			logline.BrokerStops, "(0, 0): (320) CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'"),
		server("(0, 0): (403) ACCESS_REFUSED - Login was refused using authentication mechanism AMQPLAIN. For details see the broker logfile."): unreachable(
			logline.LoginRefused, "(0, 0): (403) ACCESS_REFUSED - Login was refused using authentication mechanism AMQPLAIN. For details see the broker logfile."),
		"Unable to connect to AMQP server on 10.0.0.5:5672 after inf tries: Exchange.declare: (406) PRECONDITION_FAILED - " +
			"inequivalent arg 'durable' for exchange 'nova' in vhost '/': received 'true' but current is 'false'": {
			Symptom: logline.GaveUp, Cause: logline.Inequivalent,
			Reason: "Exchange.declare: (406) PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'nova' in vhost '/': received 'true' but current is 'false'",
			Broker: logline.Broker{Address: "10.0.0.5:5672"}, Numbers: logline.Numbers{Tries: "inf"},
			Object:   logline.Object{Kind: "exchange", Name: "nova", Vhost: "/"},
			Mismatch: logline.Mismatch{Argument: "durable", Asked: "'true'", Current: "'false'"},
		},
		"Queue.declare: (406) PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'compute' in vhost '/': received the value 'quorum' of type 'longstr' but current is none": {
			Cause:    logline.Inequivalent,
			Reason:   "Queue.declare: (406) PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'compute' in vhost '/': received the value 'quorum' of type 'longstr' but current is none",
			Object:   logline.Object{Kind: "queue", Name: "compute", Vhost: "/"},
			Mismatch: logline.Mismatch{Argument: "x-queue-type", Asked: "the value 'quorum' of type 'longstr'", Current: "none"},
		},
		"Basic.consume: (404) NOT_FOUND - no queue 'reply_f7b9' in vhost '/nova'": {
			Cause: logline.NoQueue, Reason: "Basic.consume: (404) NOT_FOUND - no queue 'reply_f7b9' in vhost '/nova'",
			Object: logline.Object{Kind: "queue", Name: "reply_f7b9", Vhost: "/nova"}, ReplyQueue: "reply_f7b9",
		},
		"Internal amqp error (541) during queue declare,retrying in 2 seconds. Queue: [reply_f7b9], error message: [Queue.declare: (541) INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.]": {
			Symptom: logline.DeclareFailed, Cause: logline.TransientDenied, Reason: "Queue.declare: (541) INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.",
			Object: logline.Object{Kind: "queue", Name: "reply_f7b9"}, ReplyQueue: "reply_f7b9", Numbers: logline.Numbers{Seconds: "2"},
		},
		"The broker has blocked the connection: low on memory":                                           {Symptom: logline.Blocked, Reason: "low on memory"},
		"Connection pool limit exceeded: current size 30 surpasses max configured rpc_conn_pool_size 30": {Symptom: logline.PoolExhausted, Numbers: logline.Numbers{Size: "30", Limit: "30"}},
		"Possible hang: stop is waiting for start to complete":                                           {Symptom: logline.Hang, Reason: "stop is waiting for start to complete"},
		"Unexpected error during heartbeart thread processing, retrying...":                              {Symptom: logline.Heartbeat},
		"Unexpected error during heartbeat thread processing, retrying...":                               {Symptom: logline.Heartbeat},
		"A recoverable connection/channel error occurred, trying to reconnect: timed out":                {Symptom: logline.Heartbeat, Cause: logline.TimedOut, Reason: "timed out"},
		"Endpoint does not support RPC version 6.3. Attempted method: live_migration":                    {Symptom: logline.WrongVersion, Version: "6.3", Method: "live_migration"},
		"Failed to publish message to topic 'notifications.info': Socket closed": {
			Symptom: logline.PublishFailed, Cause: logline.Closed, Reason: "Socket closed", Topic: "notifications.info",
		},
	} {
		got, known := logline.Parse(line)
		want.Line = line
		if diff := cmp.Diff(want, got); diff != "" || !known {
			t.Errorf("%s: known %t (-want +got)\n%s", line, known, diff)
		}
	}
}

func TestLinesOfOtherProtocolsAreUnknown(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"Unable to establish connection to http://keystone:5000: [Errno 111] Connection refused",
		"Read timed out. (read timeout=60)",
		"Instance spawned successfully.",
		"",
	} {
		if got, known := logline.Parse(line); known || got.Line != line {
			t.Errorf("%q: %+v, known %t; want it unknown, and whole", line, got, known)
		}
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	const (
		text    = "The broker has blocked the connection: low on memory"
		request = "req-11111111-2222-3333-4444-555555555555"
	)
	for line, want := range map[string]logline.Origin{
		text: {},
		"2026-11-21 03:13:07.101 25022 ERROR oslo.messaging._drivers.impl_rabbit [None " + request + " admin demo - - - -] " + text: {
			Time: "2026-11-21 03:13:07.101", PID: 25022, Level: "ERROR", Logger: "oslo.messaging._drivers.impl_rabbit", RequestID: request,
		},
		"Nov 21 03:13:07 ctl-1 nova-conductor[25022]: 2026-11-21 03:13:07.101 25022 ERROR oslo.messaging._drivers.impl_rabbit [-] " + text: {
			Time: "2026-11-21 03:13:07.101", Host: "ctl-1", Program: "nova-conductor", PID: 25022, Level: "ERROR", Logger: "oslo.messaging._drivers.impl_rabbit",
		},
		`{"message": "` + text + `", "asctime": "2026-11-21 03:13:07", "process": 25022, "hostname": "ctl-1", "levelname": "ERROR", "name": "oslo", "context": {"request_id": "` + request + `"}}`: {
			Time: "2026-11-21 03:13:07", Host: "ctl-1", PID: 25022, Level: "ERROR", Logger: "oslo", RequestID: request,
		},
	} {
		got, known := logline.Parse(line)
		if diff := cmp.Diff(want, got.Origin); diff != "" || got.Symptom != logline.Blocked || !known {
			t.Errorf("%s: symptom %q (-want +got)\n%s", line, got.Symptom, diff)
		}
	}
}

func TestReadJoinsTracebacksAndCountsRepetitions(t *testing.T) {
	t.Parallel()
	const prefix = "2026-11-21 03:13:07.101 25022 ERROR nova.scheduler.utils "
	log := prefix + `Traceback (most recent call last):
` + prefix + `  File "/usr/lib/python3/dist-packages/nova/conductor/manager.py", line 1538, in schedule_and_build_instances
` + prefix + `    host_lists = self._schedule_instances(context, build_requests[0])
` + prefix + `  File "/usr/lib/python3/dist-packages/nova/scheduler/rpcapi.py", line 160, in select_destinations
` + prefix + `oslo_messaging.exceptions.MessagingTimeout: Timed out waiting for a reply to message ID m1
` + prefix + `
2026-11-21 03:13:09.000 25022 INFO nova.compute Instance spawned.
2026-11-21 03:14:07.101 25022 ERROR nova.scheduler.utils oslo_messaging.exceptions.MessagingTimeout: Timed out waiting for a reply to message ID m2
`
	got, err := logline.Read(strings.NewReader(log))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"2026-11-21 03:13:09.000 25022 INFO nova.compute Instance spawned."}, got.Unknown); diff != "" {
		t.Errorf("unknown (-want +got)\n%s", diff)
	}
	if len(got.Events) != 1 {
		t.Fatalf("%d events, want one that came twice: %+v", len(got.Events), got.Events)
	}
	e := got.Events[0]
	if e.Count != 2 || e.MessageID != "m1" || e.Last.Time != "2026-11-21 03:14:07.101" {
		t.Errorf("count %d, first %s, last at %s; want 2, m1, 03:14:07", e.Count, e.MessageID, e.Last.Time)
	}
	want := []logline.Frame{{Project: "nova", Service: "scheduler", Method: "select_destinations", At: "nova/scheduler/rpcapi.py:160"}}
	if diff := cmp.Diff(want, e.Frames); diff != "" {
		t.Errorf("frames (-want +got)\n%s", diff)
	}
}

func TestReadRefusesWhatIsNoLog(t *testing.T) {
	t.Parallel()
	if _, err := logline.Read(strings.NewReader("ok\n" + strings.Repeat("x", 2<<20))); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("error %v, want one that names line 2", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[" + conn + "] AMQP server on 10.0.0.5:5672 is unreachable: timed out. Trying again in 1 seconds.")
	f.Add("Timed out waiting for a reply reply_f7b9 to message ID " + msg)
	f.Add(`{"message": "The broker has blocked the connection: x", "process": 1}`)
	f.Fuzz(func(t *testing.T, line string) {
		e, known := logline.Parse(line)
		if e.Line != line {
			t.Errorf("the line is lost: %q", e.Line)
		}
		if known != (e.Symptom != "" || e.Cause != "") {
			t.Errorf("known %t, and it says %q, %q", known, e.Symptom, e.Cause)
		}
	})
}
