package server

import (
	"net"
	"net/http"
	"strings"
)

// onlyLocalHosts refuses, on a loopback address, requests that name another host. A page in the operator's browser whose own name
// was made to lead to 127.0.0.1 is of the same origin as what it finds there, and would read the memory of the process.
// On other addresses the network decides who comes.
func (s *Server) onlyLocalHosts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		if local != nil && isLoopback(local.String()) && !isLoopback(r.Host) {
			s.adminAnswer(w, http.StatusMisdirectedRequest, errorBody{Error: "foreign_host",
				Detail: "this listener is on a loopback address and answers only to 127.0.0.1, [::1] and localhost; a proxy before it must send one of them as Host"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback tells whether a host, with or without a port, is this machine by an address that no other reaches, or by localhost.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(host, "."), "["), "]")
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}
