package identity

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxRemembered bounds how long a token is believed without another look. Firebase tokens live an hour anyway.
const maxRemembered = time.Hour

const (
	tokenShards = 16
	tokenSample = 8 // tokens looked at to make room
)

// verifiedToken is what is remembered of a token.
type verifiedToken struct {
	owner string
	key   *key // that signed it; nil in emulator mode
	until time.Time
}

type tokenSum = [sha256.Size]byte

// tokens remembers verified tokens by their sum, so that a dump of the process's memory holds no table of live tokens.
type tokens struct {
	room   int // per shard
	shards [tokenShards]struct {
		mu sync.RWMutex // guards m
		m  map[tokenSum]verifiedToken
	}
}

func newTokens(most int) *tokens {
	t := &tokens{room: max(1, most/tokenShards)}
	for i := range t.shards {
		t.shards[i].m = make(map[tokenSum]verifiedToken)
	}
	return t
}

// recall returns a token that has not expired. The sum's first byte is as good as random.
func (t *tokens) recall(sum tokenSum, now time.Time) (verifiedToken, bool) {
	s := &t.shards[sum[0]%tokenShards]
	s.mu.RLock()
	v, ok := s.m[sum]
	s.mu.RUnlock()
	return v, ok && now.Before(v.until)
}

// remember stores a token. A full shard forgets expired tokens of a random sample, else the one of it that expires first.
func (t *tokens) remember(sum tokenSum, v verifiedToken, now time.Time) {
	if latest := now.Add(maxRemembered); v.until.After(latest) {
		v.until = latest
	}
	s := &t.shards[sum[0]%tokenShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.m[sum]; !known && len(s.m) >= t.room {
		var first tokenSum
		var ends time.Time
		looked := 0
		for other, o := range s.m {
			if !now.Before(o.until) {
				delete(s.m, other)
			} else if ends.IsZero() || o.until.Before(ends) {
				first, ends = other, o.until
			}
			if looked++; looked == tokenSample {
				break
			}
		}
		if len(s.m) >= t.room {
			delete(s.m, first)
		}
	}
	s.m[sum] = v
}

func (t *tokens) len() int {
	n := 0
	for i := range t.shards {
		t.shards[i].mu.RLock()
		n += len(t.shards[i].m)
		t.shards[i].mu.RUnlock()
	}
	return n
}
