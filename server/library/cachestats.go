package library

import "github.com/maypok86/otter/v2"

// CacheStats are the state and the lifetime counts of the query cache. Every
// question to it is counted once: a hit was answered from memory, a miss asked
// the second level and the store, a joined one waited for somebody else's miss.
type CacheStats struct {
	Enabled     bool                  `json:"enabled"`
	Entries     int64                 `json:"entries"`
	Bytes       int64                 `json:"bytes"`     // estimated, of keys and values
	MaxBytes    int64                 `json:"max_bytes"` // the bound on Bytes
	Hits        int64                 `json:"hits"`
	Misses      int64                 `json:"misses"`
	Joined      int64                 `json:"joined"`
	HitRatio    float64               `json:"hit_ratio"` // hits of all questions, 0 without any
	Failed      int64                 `json:"failed"`    // questions whose load ended in an error; nothing was kept
	Stale       int64                 `json:"stale"`     // of those and others, answered past an entry's time because the store could not be asked
	Evictions   CacheEvictions        `json:"evictions"`
	Classes     map[string]ClassStats `json:"classes"`
	SecondLevel *SecondLevelStats     `json:"second_level"` // null without one
}

// CacheEvictions counts the entries that went, by reason.
type CacheEvictions struct {
	Size    int64 `json:"size"`    // to stay within MaxBytes
	Expired int64 `json:"expired"` // at the end of their class's time
}

// ClassStats are the part of one class of data. Concepts and relations that come
// in one statement are kept as one entry, under concepts.
type ClassStats struct {
	TTLSeconds float64 `json:"ttl_seconds"`
	Entries    int64   `json:"entries"`
	Bytes      int64   `json:"bytes"`
	Hits       int64   `json:"hits"`
	Misses     int64   `json:"misses"`
	Joined     int64   `json:"joined"`

	Evictions CacheEvictions `json:"evictions"`
}

func (c *cache) stats() CacheStats {
	s := CacheStats{Enabled: c.entries != nil, Classes: make(map[string]ClassStats, classes), Failed: c.failed.Load(), Stale: c.stale.Load()}
	if s.Enabled {
		s.MaxBytes = c.cfg.MaxBytes
	}
	for i := range c.counts {
		counts := &c.counts[i]
		one := ClassStats{
			TTLSeconds: c.ttl[i].Seconds(),
			Entries:    counts.entries.Load(), Bytes: counts.bytes.Load(),
			Hits: counts.hits.Load(), Misses: counts.misses.Load(), Joined: counts.joined.Load(),
			Evictions: CacheEvictions{
				Size:    counts.evicted[otter.CauseOverflow].Load(),
				Expired: counts.evicted[otter.CauseExpiration].Load(),
			},
		}
		s.Classes[class(i).String()] = one
		s.Entries, s.Bytes = s.Entries+one.Entries, s.Bytes+one.Bytes
		s.Hits, s.Misses, s.Joined = s.Hits+one.Hits, s.Misses+one.Misses, s.Joined+one.Joined
		s.Evictions.Size, s.Evictions.Expired = s.Evictions.Size+one.Evictions.Size, s.Evictions.Expired+one.Evictions.Expired
	}
	if all := s.Hits + s.Misses + s.Joined; all > 0 {
		s.HitRatio = float64(s.Hits) / float64(all)
	}
	if c.cfg.SecondLevel != nil {
		second := c.cfg.SecondLevel.Stats()
		s.SecondLevel = &second
	}
	return s
}
