package probe

import "strings"

// An Endpoint is what a probe asks for at a server: a namespace and a version that it serves. The zero Endpoint is not known.
type Endpoint struct {
	Namespace string // "" = none
	Version   string // major.minor; the minor may be less than the server's
}

var (
	first = Endpoint{Version: "1.0"} // what endpoints have that say nothing, and most services
	// nova's services all have this one beside their own, in every release since Havana (nova/baserpc.py).
	nova = Endpoint{Namespace: "baseapi", Version: "1.0"}
)

// services are those of OpenStack, by their topics and programs: an endpoint that all supported releases of them have. A name that ends with
// a star is a beginning. The versions are those of the services' RPC servers (rpcapi.py and manager.py of each project).
var services = []struct {
	topics, programs string // separated by blanks
	endpoint         Endpoint
}{
	{"compute conductor scheduler", "nova-*", nova},
	{"cinder-volume cinder-volume.* cinder-scheduler", "cinder-volume cinder-scheduler", Endpoint{Version: "3.0"}},
	{"cinder-backup", "cinder-backup", Endpoint{Version: "2.0"}},
	{"central", "designate-central", Endpoint{Version: "6.0"}},
	{"mdns", "designate-mdns", Endpoint{Version: "2.0"}},
	{"producer worker", "designate-producer designate-worker", first},
	{"octavia_prov", "", Endpoint{Namespace: "controller", Version: "1.0"}},
	{"octavia_provisioning_v2", "octavia-worker", Endpoint{Namespace: "controller", Version: "2.0"}},
	{"barbican.workers", "barbican-worker", Endpoint{Namespace: "barbican", Version: "1.0"}},
	{"trunk", "", Endpoint{Namespace: "trunk", Version: "1.0"}},
	{"q-* l3_agent dhcp_agent metering_agent", "neutron-*", first},
	{"engine engine_worker heat-engine-listener", "heat-engine", first},
	{"ironic.conductor_manager", "ironic-conductor", first},
	{"magnum-conductor", "magnum-conductor", first},
	{"manila-share manila-scheduler manila-data", "manila-share manila-scheduler manila-data", first},
	{"trove-conductor taskmanager guestagent.*", "trove-conductor trove-taskmanager trove-guestagent", first},
	{"ha_engine", "masakari-engine", first},
	{"cyborg-conductor cyborg-agent", "cyborg-conductor cyborg-agent", first},
}

// Known returns an endpoint of the service that has the topic, or, for a topic that none is known to have, of the one that the program
// belongs to, which is the first part of what oslo.messaging calls its connections; "" = unknown. Without either it returns the zero Endpoint:
// of a service that is not known, only somebody who knows it can tell the version.
func Known(topic, program string) Endpoint {
	for _, s := range services {
		if among(s.topics, topic) {
			return s.endpoint
		}
	}
	for _, s := range services {
		if program != "" && among(s.programs, program) {
			return s.endpoint
		}
	}
	return Endpoint{}
}

func among(patterns, name string) bool {
	for p := range strings.FieldsSeq(patterns) {
		if beginning, open := strings.CutSuffix(p, "*"); p == name || open && strings.HasPrefix(name, beginning) && name != beginning {
			return true
		}
	}
	return false
}
