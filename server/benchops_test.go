package server

import "testing"

// BenchmarkOps is what the operators' page costs for each second that it is open.
func BenchmarkOps(b *testing.B) {
	s, _ := fullServer(b)
	for range 100 {
		ask(b, s.Handler(), "GET", "/api/search?q=time", "")
	}
	admin := s.AdminHandler()
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		size = ask(b, admin, "GET", "/ops", "").Body.Len()
	}
	b.ReportMetric(float64(size), "bytes/answer")
}
