package rpc

// Workers is how many goroutines of a server run handlers, or wait for requests to run.
func (s *Server) Workers() int {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	return s.pool.made
}
