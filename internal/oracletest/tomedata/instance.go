package tomedata

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tomehub/tomehub/internal/oracletest"
)

// InstanceConfig says what an Instance is. The zero one is instance 1 of a database TOMEHUB in UTC, up for a day, whose
// clock is the machine's.
type InstanceConfig struct {
	Database string // its name
	Name     string // the instance's, tomehub1
	Host     string
	Version  string // 19.0.0.0.0

	Service   string         // sessions that logged in to it are connected to this instance; all others to the first one
	Container int64          // CON_ID of all rows; 0: not a CDB
	Startup   time.Time      // zero: a day before Time
	Time      time.Time      // where the database's clock stands until Advance or SetClock; zero: it goes as the machine's
	Zone      *time.Location // of the database's host, by which SYSDATE and the dates in views go; nil: UTC
}

// A database is what instances share.
type database struct {
	views *Views
	zone  *time.Location
	name  string

	mu        sync.RWMutex // guards what follows, and all of the instances and cursors
	instances []*Instance
	stopped   time.Time     // where the clock stands; zero: it goes
	ahead     time.Duration // of the machine's clock, while it goes
}

// Instance is an Oracle instance as its v$ views show it, with what a test makes run in it. Its methods may be called
// from any goroutine.
type Instance struct {
	db     *database
	cfg    InstanceConfig
	number int

	// Guarded by db.mu.
	startup  time.Time
	cursors  []*Cursor // never changed below its length, only replaced: readings go on with what they found
	byText   map[string]*Cursor
	spent    map[string]int64 // of V$SYS_TIME_MODEL, in microseconds
	sessions []Session
	samples  []sample
	server   *oracletest.Server
	children int64 // loaded so far, of which addresses are made
}

// NewInstance returns a database of one instance.
func NewInstance(cfg InstanceConfig) *Instance {
	db := &database{zone: cfg.Zone, name: cfg.Database, stopped: cfg.Time}
	if db.zone == nil {
		db.zone = time.UTC
	}
	if db.name == "" {
		db.name = "TOMEHUB"
	}
	db.views = &Views{base: db}
	in := db.join(cfg)
	db.setViews()
	return in
}

// Join adds an instance to the database, which makes it RAC: GV$ views have the rows of all instances, V$ views those of
// the session's own. Of cfg, what belongs to the database (Database, Time, Zone) does not count.
func (in *Instance) Join(cfg InstanceConfig) *Instance { return in.db.join(cfg) }

func (db *database) join(cfg InstanceConfig) *Instance {
	db.mu.Lock()
	defer db.mu.Unlock()
	in := &Instance{db: db, cfg: cfg, number: len(db.instances) + 1, byText: map[string]*Cursor{}, spent: map[string]int64{}}
	fill := func(s *string, as string) {
		if *s == "" {
			*s = as
		}
	}
	fill(&in.cfg.Name, strings.ToLower(db.name)+strconv.Itoa(in.number))
	fill(&in.cfg.Host, "dbhost"+strconv.Itoa(in.number))
	fill(&in.cfg.Version, "19.0.0.0.0")
	in.startup = cfg.Startup
	if in.startup.IsZero() {
		in.startup = db.clock().Add(-day)
	}
	db.instances = append(slices.Clone(db.instances), in)
	return in
}

// Number is INST_ID and INSTANCE_NUMBER.
func (in *Instance) Number() int { return in.number }

// Views are those of the database, for WithViews or as the handler itself.
func (in *Instance) Views() *Views { return in.db.views }

// Attach shows a server's sessions in V$SESSION, each at its instance.
func (in *Instance) Attach(server *oracletest.Server) {
	in.db.mu.Lock()
	defer in.db.mu.Unlock()
	in.server = server
}

// clock is the database's time; db.mu is held.
func (db *database) clock() time.Time {
	if db.stopped.IsZero() {
		return time.Now().Add(db.ahead)
	}
	return db.stopped
}

// goes tells whether the clock is the machine's.
func (db *database) goes() bool {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.stopped.IsZero()
}

// wall is a time as DATE has it: the clock on the host's wall, without its zone.
func (db *database) wall(t time.Time) time.Time { return wallOf(t.In(db.zone)) }

func wallOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// sysdate is the time in the host's zone.
func (db *database) sysdate() time.Time {
	if db == nil {
		return time.Now().UTC()
	}
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.clock().In(db.zone)
}

// Now is the database's time, the same for all instances.
func (in *Instance) Now() time.Time { return in.db.sysdate() }

// Advance puts the database's clock on, or back.
func (in *Instance) Advance(d time.Duration) {
	in.db.mu.Lock()
	defer in.db.mu.Unlock()
	if in.db.stopped.IsZero() {
		in.db.ahead += d
		return
	}
	in.db.stopped = in.db.stopped.Add(d)
}

// SetClock stops the database's clock at a time; at the zero time it goes again, as the machine's.
func (in *Instance) SetClock(t time.Time) {
	in.db.mu.Lock()
	defer in.db.mu.Unlock()
	in.db.stopped, in.db.ahead = t, 0
}

// Restart is a shutdown and a startup: the shared pool, the time model, the samples and the test's sessions are gone.
func (in *Instance) Restart() {
	in.db.mu.Lock()
	defer in.db.mu.Unlock()
	in.startup = in.db.clock()
	for _, c := range in.cursors {
		c.remove()
	}
	in.cursors, in.spent, in.sessions, in.samples = nil, map[string]int64{}, nil, nil
}

// AddTime adds to a statistic of V$SYS_TIME_MODEL, such as "DB time", what no cursor of the model accounts for.
func (in *Instance) AddTime(name string, d time.Duration) {
	in.db.mu.Lock()
	defer in.db.mu.Unlock()
	in.spent[name] += d.Microseconds()
}

// connected is the instance that a session logged in to.
func (db *database) connected(s *oracletest.Session) *Instance {
	db.mu.RLock()
	defer db.mu.RUnlock()
	service := ""
	if s != nil {
		service = s.Service
	}
	return db.serving(service)
}

// serving is the instance of a service; db.mu is held.
func (db *database) serving(service string) *Instance {
	for _, in := range db.instances {
		if service != "" && strings.EqualFold(in.cfg.Service, service) {
			return in
		}
	}
	return db.instances[0]
}

// userenv answers SYS_CONTEXT('USERENV', name).
func (db *database) userenv(s *oracletest.Session, name string) (v oracletest.Value, ok bool) {
	if db == nil || s == nil {
		return nil, false
	}
	in := db.connected(s)
	switch name {
	case "SID":
		return strconv.FormatInt(s.ID, 10), true
	case "SESSIONID":
		return strconv.FormatInt(audSID(s.ID), 10), true
	case "INSTANCE":
		return strconv.Itoa(in.number), true
	case "INSTANCE_NAME":
		return in.cfg.Name, true
	case "SERVER_HOST":
		return in.cfg.Host, true
	case "CON_ID":
		return strconv.FormatInt(in.cfg.Container, 10), true
	case "DB_NAME":
		return db.name, true
	case "SERVICE_NAME":
		return s.Service, true
	case "SESSION_USER", "CURRENT_USER", "CURRENT_SCHEMA":
		return s.User, true
	case "MODULE":
		return s.Module, true
	case "ACTION":
		return s.Action, true
	}
	return nil, false
}

// audSID is AUDSID of one of the double's own sessions.
func audSID(id int64) int64 { return 40_000 + id }
