package program

import "github.com/goslo/goslo/config/messaging"

// Options are what every program has. Embed them, without a tag, in the program's own. Names and meanings are oslo.messaging's, oslo.log's
// and oslo.service's where those have them.
type Options struct {
	messaging.Options
	LogOptions

	Host string `config:"host" type:"hostdomain" sample:"compute-1" help:"The name of this service on its topic, unique there. That of the machine when empty."`

	GracefulShutdownTimeout int    `config:"graceful_shutdown_timeout" default:"60" min:"0" help:"For how many seconds a service that was asked to stop waits for what runs. 0 is as long as it takes."`
	LogOptionsAtStart       bool   `config:"log_options" default:"true" help:"Whether all options are logged at the start, at level debug."`
	HealthListen            string `config:"health_listen" default:"127.0.0.1:9977" help:"Where /livez, /readyz, /startupz, /metrics and /debug/requests are answered: host:port, or unix: and a path. Nowhere when empty. Goslo only."`
	Metrics                 bool   `config:"metrics" default:"true" help:"Whether metrics of calls are counted, and answered at /metrics. Goslo only."`
	Tracing                 bool   `config:"tracing" default:"true" help:"Whether traces are sent, to where OTEL_EXPORTER_OTLP_ENDPOINT says; without that variable there are none. Goslo only."`
}

// LogOptions say what is logged, where and how.
type LogOptions struct {
	Debug     bool   `config:"debug,mutable,flag" short:"d" default:"false" help:"Whether messages of level debug are logged."`
	LogFile   string `config:"log_file,flag" deprecated:"logfile" help:"The file to log to, in log_dir unless it begins with a slash. It is opened anew on SIGHUP. Standard error when neither is set."`
	LogDir    string `config:"log_dir,flag" deprecated:"logdir" help:"The folder of log_file. The file has the program's name when log_file is empty."`
	UseStderr bool   `config:"use_stderr" default:"false" help:"Whether to log to standard error besides a file."`
	UseJSON   bool   `config:"use_json,flag" default:"false" help:"Whether each message is a JSON object."`

	DateFormat         string `config:"log_date_format,flag" default:"%Y-%m-%d %H:%M:%S" help:"The format of %(asctime)s, as strftime has it."`
	ContextFormat      string `config:"logging_context_format_string,advanced" default:"%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [%(global_request_id)s %(request_id)s %(user_identity)s] %(instance)s%(message)s" help:"The format of messages with a request id."`
	DefaultFormat      string `config:"logging_default_format_string,advanced" default:"%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [-] %(instance)s%(message)s" help:"The format of all others."`
	DebugSuffix        string `config:"logging_debug_format_suffix,advanced" default:"%(funcName)s %(pathname)s:%(lineno)d" help:"What is added to messages of level debug."`
	ExceptionPrefix    string `config:"logging_exception_prefix,advanced" default:"%(asctime)s.%(msecs)03d %(process)d ERROR %(name)s %(instance)s" help:"What stands before each line of a traceback."`
	UserIdentityFormat string `config:"logging_user_identity_format,advanced" default:"%(user)s %(project)s %(domain)s %(system_scope)s %(user_domain)s %(project_domain)s" help:"What %(user_identity)s is."`
	InstanceFormat     string `config:"instance_format,advanced" default:"[instance: %(uuid)s] " help:"How a message names the instance that it is about."`
}

// options returns the options that every program has, of those that embed them.
func (o *Options) options() *Options { return o }
