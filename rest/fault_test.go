package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goslo/goslo/rest"
	"github.com/goslo/goslo/rpc"
	"github.com/goslo/goslo/transport"
)

type refusal struct{}

func (refusal) Error() string   { return "shop:orders:create is not allowed" }
func (refusal) HTTPStatus() int { return http.StatusForbidden }

func TestWriteFault(t *testing.T) {
	t.Parallel()
	shop := transport.Address{Kind: transport.Topic, Topic: "shop"}
	hidden := errors.New("dial tcp 10.0.0.3:5672: s3cret")
	remote := &rpc.RemoteError{
		Class: rpc.ErrorClass{Module: "shop.exception", Name: "SoldOut"}, Message: "s3cret",
		Traceback: []string{"s3cret"}, Method: "create", Target: "shop",
	}
	for name, test := range map[string]struct {
		err    error
		status int
		title  string
		words  string
	}{
		"fault":          {fmt.Errorf("s3cret: %w", rest.Faultf(http.StatusConflict, "order %s is shipped", "o-1")), 409, "conflictingRequest", "order o-1 is shipped"},
		"titled":         {&rest.Fault{Code: 404, Title: "noSuchOrder", Message: "gone", Cause: hidden}, 404, "noSuchOrder", "gone"},
		"field":          {rest.FieldFault("order.n", "want at least 1, not %d", 0), 400, "badRequest", "order.n: want at least 1, not 0"},
		"own status":     {fmt.Errorf("s3cret: %w", refusal{}), 403, "forbidden", "shop:orders:create is not allowed"},
		"too large":      {&http.MaxBytesError{Limit: 10}, 413, "overLimit", "10 bytes"},
		"nobody":         {&rpc.NoServerError{Method: "create", Address: shop, Nearest: "shops", Cause: hidden}, 503, "serviceUnavailable", `did you mean "shops"?`},
		"not sent":       {&rpc.TimeoutError{Method: "create", Address: shop, Phase: rpc.NotSent, Cause: hidden}, 503, "serviceUnavailable", "not sent"},
		"timed out":      {&rpc.TimeoutError{Method: "create", Address: shop, Phase: rpc.Queued}, 504, "computeFault", "queued"},
		"delivery":       {&rpc.DeliveryError{Method: "create", Address: shop, Cause: hidden}, 503, "serviceUnavailable", "create"},
		"version cap":    {&rpc.VersionError{Method: "create", Version: "1.2", Cap: "1.1"}, 409, "conflictingRequest", `"1.1"`},
		"version there":  {&rpc.VersionError{Method: "create", Version: "1.2", Remote: remote}, 409, "conflictingRequest", `"1.2"`},
		"method":         {&rpc.NoSuchMethodError{Method: "create", Remote: remote}, 501, "notImplemented", "create"},
		"unknown class":  {remote, 500, "computeFault", "shop.exception.SoldOut"},
		"their deadline": {rpc.ErrorClass{Module: "oslo_messaging.exceptions", Name: "MessagingTimeout"}.Errorf("s3cret"), 504, "computeFault", "MessagingTimeout"},
		"deadline":       {context.DeadlineExceeded, 504, "computeFault", "in time"},
		"anything":       {hidden, 500, "computeFault", "unexpected"},
		"no status":      {&rest.Fault{Message: "x"}, 500, "computeFault", "x"},
		"not one":        {&rest.Fault{Code: 9999, Message: "x"}, 500, "computeFault", "x"},
		"not yet one":    {&rest.Fault{Code: http.StatusProcessing, Message: "x"}, 500, "computeFault", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			ctx := rest.WithContext(t.Context(), &rest.Context{RequestID: "req-1"})
			rest.WriteFault(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), test.err)
			var body map[string]struct {
				Code      int
				Message   string
				RequestID string `json:"request_id"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			fault := body[test.title]
			if w.Code != test.status || fault.Code != test.status || fault.RequestID != "req-1" || !strings.Contains(fault.Message, test.words) {
				t.Errorf("%d %s; want %d %s", w.Code, w.Body, test.status, test.title)
			}
			if strings.Contains(w.Body.String(), "s3cret") {
				t.Errorf("told: %s", w.Body)
			}
			if got := w.Header(); got.Get("Content-Type") != "application/json" || got.Get("X-Openstack-Request-Id") != "req-1" {
				t.Errorf("headers %v", got)
			}
		})
	}
}

// What a client was not told is there for the log.
func TestFaultKeepsItsCause(t *testing.T) {
	t.Parallel()
	cause := &rpc.NoServerError{Method: "create"}
	f := rest.FaultFrom(t.Context(), fmt.Errorf("create: %w", cause))
	if !errors.Is(f, cause) || !strings.Contains(f.Error(), "503 serviceUnavailable") {
		t.Errorf("%v", f)
	}
}

func ExampleFaultf() {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/v1/orders/o-1", nil)
	rest.WriteFault(w, r, rest.Faultf(http.StatusNotFound, "order %s could not be found", "o-1"))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 404 {"itemNotFound":{"code":404,"message":"order o-1 could not be found"}}
}

func TestFaultHeaders(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	f := &rest.Fault{Code: 429, Message: "slow down", Header: http.Header{"Retry-After": {"7"}}, RequestID: "req-2"}
	rest.WriteFault(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), f)
	want := `{"overLimit":{"code":429,"message":"slow down","retryAfter":"7","request_id":"req-2"}}` + "\n"
	if diff := cmp.Diff(want, w.Body.String()); diff != "" || w.Header().Get("Retry-After") != "7" {
		t.Errorf("%v\n%s", w.Header(), diff)
	}
}
