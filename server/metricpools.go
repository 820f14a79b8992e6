package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tomehub/tomehub/internal/pool"
)

// poolFamilies tell of the pools. The names that dashboards know from client_golang's collector of
// database/sql, go_sql_…, tell the truth of the gate here: callers wait at the gate, not in
// database/sql, whose connections are all pinned and which would report that nobody ever waits.
type poolFamilies struct {
	max, open, inUse, idle, waits, waited                  family // go_sql_
	waiting, queue, refused                                family
	physical, physicalInUse, physicalWaiting, opened, anew family
}

func (f *poolFamilies) make(c *stateCollector) {
	const label = "db_name"
	f.max = c.gauge("go_sql_max_open_connections", "Slots of the pool: the most connections that callers hold at the same time.", label)
	f.open = c.gauge("go_sql_open_connections", "Connections to the database that are open. On the embedded library they are fewer than the slots.", label)
	f.inUse = c.gauge("go_sql_in_use_connections", "Slots that callers hold.", label)
	f.idle = c.gauge("go_sql_idle_connections", "Open connections that run no statement.", label)
	f.waits = c.counter("go_sql_wait_count_total", "Callers that had to wait for a slot.", label)
	f.waited = c.counter("go_sql_wait_duration_seconds_total", "Time that callers have waited for slots. It grows when a wait ends: while callers are stuck it stands still.", label)
	f.waiting = c.gauge("tomehub_db_pool_waiting", "Callers that wait for a slot.", "pool")
	f.queue = c.gauge("tomehub_db_pool_queue_limit", "Most callers that may wait (DB_POOL_QUEUE).", "pool")
	f.refused = c.counter("tomehub_db_pool_refusals_total", "Callers that got no slot, by the bound that refused them.", "pool", "reason")
	f.physical = c.gauge("tomehub_db_connections_limit", "Most connections to the database. On the embedded library they are fewer than the slots, and statements take turns.", "pool")
	f.physicalInUse = c.gauge("tomehub_db_connections_in_use", "Connections that run a statement or a transaction.", "pool")
	f.physicalWaiting = c.gauge("tomehub_db_connections_waiting", "Statements within a slot that wait for a connection.", "pool")
	f.opened = c.counter("tomehub_db_connections_opened_total", "Connections opened.", "pool")
	f.anew = c.counter("tomehub_db_connections_replaced_total", "Connections replaced for their age (DB_POOL_RECYCLE) or a fault.", "pool")
}

func (f *poolFamilies) collect(out chan<- prometheus.Metric, s *Server) {
	if s.deps.Pools == nil {
		return
	}
	for _, p := range s.deps.Pools() {
		send(out, f.max, p.Size, p.Name)
		send(out, f.open, p.PhysicalOpen, p.Name)
		send(out, f.inUse, p.InUse, p.Name)
		send(out, f.idle, max(p.PhysicalOpen-p.PhysicalInUse, 0), p.Name) // read one after the other
		send(out, f.waits, p.Waits, p.Name)
		send(out, f.waited, p.WaitTotal.Seconds(), p.Name)
		send(out, f.waiting, p.Waiting, p.Name)
		send(out, f.queue, p.Queue, p.Name)
		send(out, f.refused, p.TimedOut, p.Name, pool.ReasonTimeout)
		send(out, f.refused, p.QueueFull, p.Name, pool.ReasonQueueFull)
		send(out, f.refused, p.Shed, p.Name, pool.ReasonShed)
		send(out, f.refused, p.Cancelled, p.Name, pool.ReasonCancelled)
		send(out, f.physical, p.Physical, p.Name)
		send(out, f.physicalInUse, p.PhysicalInUse, p.Name)
		send(out, f.physicalWaiting, p.PhysicalWaiting, p.Name)
		send(out, f.opened, p.Opened, p.Name)
		send(out, f.anew, p.Recycled, p.Name)
	}
}

// cacheFamilies tell of the query cache, a cache for each class of data.
type cacheFamilies struct {
	requests, evictions, entries, size, limit, failed, stale family
	second, secondUp                                         family
}

func (f *cacheFamilies) make(c *stateCollector) {
	f.requests = c.counter("tomehub_cache_requests_total", "Questions to the query cache. A joined one waited for somebody else's miss.", "cache", "result")
	f.evictions = c.counter("tomehub_cache_evictions_total", "Entries that went, for the cache's size or at the end of their time.", "cache", "reason")
	f.entries = c.gauge("tomehub_cache_entries", "Entries of the query cache.", "cache")
	f.size = c.gauge("tomehub_cache_size_bytes", "Estimated size of the keys and values kept.", "cache")
	f.limit = c.gauge("tomehub_cache_limit_bytes", "Most that all of them together may take (--query-cache-size); 0 without a cache.")
	f.failed = c.counter("tomehub_cache_load_failures_total", "Questions whose load from the database failed.")
	f.stale = c.counter("tomehub_cache_stale_answers_total", "Questions answered past an entry's time, because the database could not be asked.")
	f.second = c.counter("tomehub_cache_second_level_requests_total", "Questions to the second level (--cache-storage).", "result")
	f.secondUp = c.gauge("tomehub_cache_second_level_up", "1 while the second level answers.")
}

func (f *cacheFamilies) collect(out chan<- prometheus.Metric, s *Server) {
	if s.deps.Cache == nil {
		return
	}
	stats := s.deps.Cache()
	for class, one := range stats.Classes {
		send(out, f.requests, one.Hits, class, "hit")
		send(out, f.requests, one.Misses, class, "miss")
		send(out, f.requests, one.Joined, class, "joined")
		send(out, f.evictions, one.Evictions.Size, class, "size")
		send(out, f.evictions, one.Evictions.Expired, class, "expired")
		send(out, f.entries, one.Entries, class)
		send(out, f.size, one.Bytes, class)
	}
	send(out, f.limit, stats.MaxBytes)
	send(out, f.failed, stats.Failed)
	send(out, f.stale, stats.Stale)
	if second := stats.SecondLevel; second != nil {
		send(out, f.second, second.Hits, "hit")
		send(out, f.second, second.Misses, "miss")
		send(out, f.second, second.Failed, "failed")
		send(out, f.second, second.Skipped, "skipped")
		send(out, f.secondUp, oneIf(second.Up))
	}
}
