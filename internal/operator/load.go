package operator

// A Load is what a topic has to do: the sum of its own queue and its servers'.
type Load struct {
	Topic     string  `json:"topic"`
	In        float64 `json:"in"`     // requests a second, fanouts not among them
	Out       float64 `json:"out"`    // requests a second that servers were handed
	Fanout    float64 `json:"fanout"` // copies of fanouts a second that servers were handed
	Ready     Count   `json:"ready"`
	Unacked   Count   `json:"unacked"`
	Consumers Count   `json:"consumers"`
	Servers   int     `json:"servers"`   // that have a queue
	Listening int     `json:"listening"` // servers whose queue has a consumer
}

// Load sums up the topic. Rates are those of the broker's last samples.
func (t *Topic) Load() Load {
	l := Load{Topic: t.Name, Servers: len(t.Servers)}
	add := func(q *Queue) {
		l.In += q.Rates.Published
		l.Out += q.Rates.Delivered
		l.Ready = l.Ready.plus(q.Ready)
		l.Unacked = l.Unacked.plus(q.Unacked)
		l.Consumers = l.Consumers.plus(q.Consumers)
	}
	if t.Queue != nil {
		add(t.Queue)
	}
	for _, s := range t.Servers {
		add(s.Queue)
		if s.Queue.Consumers > 0 {
			l.Listening++
		}
	}
	for _, q := range t.Fanouts {
		l.Fanout += q.Rates.Delivered
	}
	return l
}

// plus is the sum, which is not known where either is not.
func (c Count) plus(d Count) Count {
	if c < 0 || d < 0 {
		return Unknown
	}
	return c + d
}
