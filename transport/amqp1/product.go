package amqp1

import (
	"slices"

	"github.com/Azure/go-amqp"
)

// A product is what a broker calls itself in its Open; "" = it does not say.
type product string

func productOf(conn *amqp.Conn) product {
	name, _ := conn.Properties()["product"].(string)
	return product(name)
}

func (p product) rabbit() bool { return p == "RabbitMQ" }

// legacy says whether upstream uses legacy addresses with it.
func (p product) legacy() bool { return p == "" || p == "qpid-cpp" }

// brokers are those that keep a message until its receiver has settled it, and hand it to another one where it does not.
// A router keeps nothing; of any other we do not know.
var brokers = []product{"qpid-cpp", "RabbitMQ", "ActiveMQ", "apache-activemq-artemis"}

// drains says whether a link's credit can be taken back. RabbitMQ 3.10 loses the session when it is asked to while it has messages out;
// who does not say what it is may never answer, as Proton's example broker.
func (p product) drains() bool { return p != "" && !p.rabbit() }

// releases says whether a message that is given back goes to somebody else: by a broker, or by its sender, to whom a router passes
// it on. Who does not say what it is may forget it, as Proton's example broker.
func (p product) releases() bool { return p != "" }

// redelivers says whether a message that its listener had and did not settle goes to another when that is gone.
func (p product) redelivers() bool { return slices.Contains(brokers, p) }
