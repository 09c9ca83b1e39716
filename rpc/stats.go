package rpc

// Stats counts the calls of a Client and of all clients derived from it, since NewClient. Casts are not counted: nothing ever
// answers them. What is in none of Answered, TimedOut and Waiting ended otherwise: refused, given back, or cancelled by its caller.
type Stats struct {
	Calls    uint64 // made, whether they left or not
	Answered uint64 // ended by an answer: a result, or a failure of the method
	TimedOut uint64 // ended in a TimeoutError
	Late     uint64 // answers to calls that had ended before, of which the last 1024 are known; each is logged with how late it was
	Waiting  int    // sent, and not ended yet
}

// Stats returns the counts as they are now. They are 0 for a Local client.
func (c *Client) Stats() Stats {
	return c.core.replies.stats()
}
