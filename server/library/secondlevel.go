package library

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tomehub/tomehub/server/store"
)

// SecondLevel is a cache that outlives the process and may be shared with other
// processes on the same library. It is never required: an implementation bounds
// the time of every call, and answers "not there" when it has trouble. OpenRedis
// makes one.
type SecondLevel interface {
	// Get returns the value that was last Set under name, if it is still there.
	Get(ctx context.Context, name string) ([]byte, bool)
	// Set keeps value under name for at most ttl, or does not.
	Set(ctx context.Context, name string, value []byte, ttl time.Duration)
	Stats() SecondLevelStats
	Close() error
}

// SecondLevelStats are the lifetime counts of a second level.
type SecondLevelStats struct {
	Up      bool  `json:"up"` // false from a failure until the next success
	Hits    int64 `json:"hits"`
	Misses  int64 `json:"misses"`
	Stores  int64 `json:"stores"`
	Failed  int64 `json:"failed"`   // calls that ended in an error or at their bound
	Skipped int64 `json:"skipped"`  // calls not made, because one has failed just before
	TooLong int64 `json:"too_long"` // values not stored for their length
}

// A codec carries values of one kind to the second level and back. Only pages of
// matches and what is related have one: they cost a search, while a passage by
// its id costs the store about what it costs to ask somebody else for it.
type codec[T any] struct {
	encode func(T) ([]byte, error)
	decode func([]byte) (T, error)
}

// name is the key as a second level knows it: a digest, because queries are
// private and keys must be short. The version in it changes with the records.
func (k key) name() string {
	h := sha256.New()
	b := []byte{byte(k.class), byte(k.kind), 0}
	if k.details {
		b[2] = 1
	}
	for _, number := range []int64{k.gen, k.a, k.b, k.c, int64(len(k.owner))} {
		b = binary.BigEndian.AppendUint64(b, uint64(number))
	}
	b = append(append(b, k.owner...), k.text...)
	h.Write(b)
	return "v1:" + hex.EncodeToString(h.Sum(nil)[:20])
}

// A record is a value with the time it was loaded at: its life is counted from
// there, however many levels it passes.
type record struct {
	LoadedAt int64           `json:"loaded_at"` // Unix milliseconds
	Value    json.RawMessage `json:"value"`
}

// recall asks the second level for k.
func recall[T sized](ctx context.Context, c *cache, k key, with *codec[T]) (entry, bool) {
	if c.cfg.SecondLevel == nil || with == nil {
		return entry{}, false
	}
	raw, ok := c.cfg.SecondLevel.Get(ctx, k.name())
	if !ok {
		return entry{}, false
	}
	var r record
	if json.Unmarshal(raw, &r) != nil {
		return entry{}, false
	}
	left := c.ttl[k.class] - time.Since(time.UnixMilli(r.LoadedAt))
	if left <= 0 || left > c.ttl[k.class] { // expired, or from a clock ahead of ours
		return entry{}, false
	}
	value, err := with.decode(r.Value)
	if err != nil {
		return entry{}, false
	}
	return c.newEntry(k, value, left), true
}

// remember tells the second level what has been loaded.
func remember[T sized](ctx context.Context, c *cache, k key, with *codec[T], value T) {
	if c.cfg.SecondLevel == nil || with == nil {
		return
	}
	inner, err := with.encode(value)
	if err != nil {
		return
	}
	raw, err := json.Marshal(record{LoadedAt: time.Now().UnixMilli(), Value: inner})
	if err != nil {
		return
	}
	c.cfg.SecondLevel.Set(ctx, k.name(), raw, c.ttl[k.class])
}

type pageRecord struct {
	Total   int             `json:"total"`
	Results json.RawMessage `json:"results"`
}

var pageCodec = &codec[*searchPage]{
	encode: func(p *searchPage) ([]byte, error) {
		return json.Marshal(pageRecord{p.total, p.json})
	},
	decode: func(raw []byte) (*searchPage, error) {
		var r pageRecord
		var results []Result
		if err := errors.Join(json.Unmarshal(raw, &r), json.Unmarshal(r.Results, &results)); err != nil {
			return nil, fmt.Errorf("decode page: %w", err)
		}
		return newSearchPage(results, r.Total)
	},
}

type relatedRecord struct {
	Concepts  []store.Concept
	Relations []store.Relation
}

var relatedCodec = &codec[*related]{
	encode: func(r *related) ([]byte, error) {
		return json.Marshal(relatedRecord{r.concepts, r.relations})
	},
	decode: func(raw []byte) (*related, error) {
		var r relatedRecord
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, fmt.Errorf("decode related: %w", err)
		}
		return newRelated(r.Concepts, r.Relations)
	},
}
