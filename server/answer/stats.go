package answer

import (
	"slices"
	"sync/atomic"

	"github.com/tomehub/tomehub/server/breaker"
)

// counts are lifetime totals.
type counts struct {
	none, extractive, chat, left atomic.Int64
	degraded                     [len(reasons)]atomic.Int64
}

func (c *counts) count(s Source) {
	switch s {
	case SourceNone:
		c.none.Add(1)
	case SourceExtractive:
		c.extractive.Add(1)
	case SourceChat:
		c.chat.Add(1)
	}
}

func (c *counts) degrade(r Reason) {
	if i := slices.Index(reasons[:], r); i >= 0 {
		c.degraded[i].Add(1)
	}
}

// Stats is the use of the answerer and its totals since the start.
type Stats struct {
	Sources    map[Source]int64 `json:"sources"`     // answers given, by who wrote them
	Degraded   map[Reason]int64 `json:"degraded"`    // of the extractive ones, those that stand in for the API; every reason is there
	ClientGone int64            `json:"client_gone"` // left before their answer was whole
	API        *APIStats        `json:"api"`         // null: no API is asked
}

// APIStats is the way to the API.
type APIStats struct {
	Model      string         `json:"model"`
	Slots      int            `json:"slots"`
	InUse      int            `json:"in_use"`
	Queue      int            `json:"queue"` // most that may wait for a slot
	Waiting    int            `json:"waiting"`
	Calls      int64          `json:"calls"`        // requests sent
	CacheHits  int64          `json:"cache_hits"`   // answers that were kept from before
	CacheSize  int            `json:"cache_size"`   // answers kept now
	CoolDownMS int64          `json:"cool_down_ms"` // until the API may be asked again after a Retry-After
	Breaker    *breaker.Stats `json:"breaker"`      // null: none
}

// Stats returns the use and the totals. They are read one by one.
func (a *Answerer) Stats() Stats {
	s := Stats{
		Sources: map[Source]int64{
			SourceNone: a.stats.none.Load(), SourceExtractive: a.stats.extractive.Load(), SourceChat: a.stats.chat.Load(),
		},
		Degraded: make(map[Reason]int64, len(reasons)), ClientGone: a.stats.left.Load(),
	}
	for i, r := range reasons {
		s.Degraded[r] = a.stats.degraded[i].Load()
	}
	if c := a.chat; c != nil {
		slots := c.slots.Snapshot()
		s.API = &APIStats{
			Model: c.cfg.Model, Slots: slots.Size, InUse: slots.InUse, Queue: slots.Queue, Waiting: slots.Waiting,
			Calls: c.calls.Load(), CacheHits: c.hits.Load(), CacheSize: c.kept(),
			CoolDownMS: c.coolDown().Milliseconds(),
		}
		if c.cfg.Breaker != nil {
			b := c.cfg.Breaker.Stats()
			s.API.Breaker = &b
		}
	}
	return s
}
