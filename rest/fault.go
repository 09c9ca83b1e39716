package rest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
)

// A Fault is a failure as clients of an OpenStack API get it: an HTTP status, and one JSON object under a title that tells the kind.
//
//	HTTP/1.1 404 Not Found
//	{"itemNotFound": {"code": 404, "message": "instance vm-1 could not be found", "request_id": "req-..."}}
//
// Handlers return one to choose the status; see [Faultf]. What becomes of other errors is in [WriteFault].
type Fault struct {
	Code    int    // the HTTP status. Default: 500
	Title   string // what kind it is. Default: upstream's word for Code, such as itemNotFound (nova, api/openstack/wsgi.py)
	Message string // for people
	Field   string // the member of the body, or parameter of the query, that is wrong, such as server.flavorRef; else ""

	// MinVersion and MaxVersion are the microversions that there are, in a fault about one that there is not.
	MinVersion, MaxVersion string

	RequestID string      // Default: that of the request's context
	Header    http.Header // what else the answer has, such as Retry-After; nil = nothing
	Cause     error       // what led to it, for the log. Clients never see it
}

// Faultf returns a fault that clients see as it is written: rest.Faultf(http.StatusConflict, "order %s is shipped", id).
func Faultf(code int, format string, args ...any) *Fault {
	return &Fault{Code: code, Message: fmt.Sprintf(format, args...)}
}

// FieldFault returns the fault of a member of the body or a parameter of the query that is wrong: 400, and "server.name: " before the text.
// A Validate method names the field as seen from its own struct; whoever decodes puts the rest of the path before it.
func FieldFault(field, format string, args ...any) *Fault {
	return &Fault{Code: http.StatusBadRequest, Field: field, Message: field + ": " + fmt.Sprintf(format, args...)}
}

func (f *Fault) Error() string {
	s := fmt.Sprintf("rest: %d %s: %s", f.Code, f.title(), f.Message)
	if f.Cause != nil {
		s += ": " + f.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Cause }

// titles are the words of nova's API for the statuses that have one; all others are defaultTitle.
var titles = map[int]string{
	http.StatusBadRequest:            "badRequest",
	http.StatusUnauthorized:          "unauthorized",
	http.StatusForbidden:             "forbidden",
	http.StatusNotFound:              "itemNotFound",
	http.StatusMethodNotAllowed:      "badMethod",
	http.StatusConflict:              "conflictingRequest",
	http.StatusRequestEntityTooLarge: "overLimit",
	http.StatusUnsupportedMediaType:  "badMediaType",
	http.StatusTooManyRequests:       "overLimit",
	http.StatusNotImplemented:        "notImplemented",
	http.StatusServiceUnavailable:    "serviceUnavailable",
}

const defaultTitle = "computeFault" // also cinder's and manila's word

func (f *Fault) title() string { return cmp.Or(f.Title, titles[f.Code], defaultTitle) }

// MarshalJSON returns the body of the answer.
func (f *Fault) MarshalJSON() ([]byte, error) {
	return encode(map[string]any{f.title(): struct {
		Code       int    `json:"code"`
		Message    string `json:"message"`
		Field      string `json:"field,omitempty"`
		RetryAfter string `json:"retryAfter,omitempty"`
		MinVersion string `json:"min_version,omitempty"`
		MaxVersion string `json:"max_version,omitempty"`
		RequestID  string `json:"request_id,omitempty"`
	}{f.Code, f.Message, f.Field, f.Header.Get("Retry-After"), f.MinVersion, f.MaxVersion, f.RequestID}})
}

// WriteFault answers with what err means to the client. A *Fault, however wrapped, is answered as it is, and so is an error with a method
// HTTPStatus() int, with its text. Failures of the bus and of the services behind it have one table:
//
//	*rpc.NoServerError                  503  nobody listens
//	*rpc.TimeoutError, not sent         503  the bus is away, blocked or full: nobody has the request
//	*rpc.TimeoutError                   504  it may have been carried out; the phase is told
//	*rpc.DeliveryError                  503  the bus refused or lost the request
//	*rpc.VersionError                   409  services of different versions, as in the middle of an upgrade
//	*rpc.NoSuchMethodError              501
//	a remote failure of a known class   as the API says in Config.Errors, with the failure's message
//	one of oslo.messaging's own classes as if it had happened here: MessagingTimeout 504, MessageUndeliverable 503
//	any other remote failure            500  only its class is told
//	context.DeadlineExceeded            504
//	*http.MaxBytesError                 413
//	anything else                       500  nothing is told
//
// Nothing is logged here. The cause of a 5xx is not in the answer, so whoever calls it logs err, with the request id.
func WriteFault(w http.ResponseWriter, r *http.Request, err error) {
	f := *FaultFrom(r.Context(), err)
	f.RequestID = cmp.Or(f.RequestID, ContextFrom(r.Context()).RequestID)
	h := w.Header()
	maps.Copy(h, f.Header)
	if f.RequestID != "" {
		h.Set(HeaderRequestID, f.RequestID)
	}
	body, err := f.MarshalJSON()
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	write(w, f.Code, body)
}

// write sends an answer. The status is out when it fails: that is the peer's hanging up.
func write(w http.ResponseWriter, code int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(body) //nolint:gosec // it is JSON, and says so
}

// encode is json.Marshal without escapes for HTML, which nobody here reads, and a newline, for those who read on a terminal.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
