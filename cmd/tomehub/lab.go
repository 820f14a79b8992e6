package main

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tomehub/tomehub/server/lab"
	"github.com/tomehub/tomehub/server/memory"
)

// labSettings make serve a server for load tests. No phase sets them.
type labSettings struct {
	lab          bool
	labStatement time.Duration
	labSeed      int
	labTimeScale float64
}

func (c *labSettings) register(s *settings) {
	s.add(boolValue{&c.lab}, "lab", "TOMEHUB_LAB", "for load tests only: take faults (a database that is down or slow, memory pressure) through the admin listener")
	s.add(durationValue{&c.labStatement, 0, minute}, "lab-statement-time", "TOMEHUB_LAB_STATEMENT_TIME", "for load tests only: every statement holds its connection for a random time, with this mean over the mix of the plan's profile; 0 adds nothing; implies --lab")
	c.labSeed = 1
	s.add(intValue{&c.labSeed, 0, 1000000000}, "lab-seed", "TOMEHUB_LAB_SEED", "start of the lab's random times")
	c.labTimeScale = 1
	s.add(numberValue{&c.labTimeScale, 0.01, 1}, "lab-time-scale", "TOMEHUB_LAB_TIME_SCALE", "in the lab, multiply every time of requests, statements, waits, streams, breakers and cache entries by this, and divide the rate limits by it")
}

// inLab tells whether this is a server for load tests.
func (c *labSettings) inLab() bool { return c.lab || c.labStatement > 0 }

// validate refuses a lab in front of a real database: its times would come on top of the database's own, and whoever
// reaches the admin listener could fail every statement.
func (c *labSettings) validate(dsn string) error {
	var faults []error
	if c.inLab() && dsn != "" {
		faults = append(faults, errors.New("--lab and --lab-statement-time are for load tests on the embedded library, and DB_DSN (--db-dsn) names an Oracle database: unset one of the two"))
	}
	if c.labTimeScale != 1 && !c.inLab() {
		faults = append(faults, fmt.Errorf("--lab-time-scale is %v without a lab: set --lab-statement-time or --lab", c.labTimeScale))
	}
	return errors.Join(faults...)
}

// scaleForLab shrinks all times that a request meets alike, so that a load test of a tenth of the time sees what the
// whole one does. Times of the machine stay: those of sockets and connections, and of leaving.
func (c *serveSettings) scaleForLab() {
	f := c.labTimeScale
	if f == 1 {
		return
	}
	for _, d := range []*time.Duration{
		&c.labStatement, &c.poolTimeout, &c.poolShedWait, &c.statement, &c.slowQuery,
		&c.ttlConcepts, &c.ttlContent, &c.ttlDefault, &c.staleFor,
		&c.streamWait, &c.streamWriteTimeout, &c.streamTimeout, &c.answerTimeout, &c.answerIdle,
		&c.requestTimeout, &c.slowRequest, &c.memoryInterval,
		&c.breakerWindow, &c.breakerSlow, &c.breakerOpen,
	} {
		*d = time.Duration(f * float64(*d))
	}
	c.memoryInterval = max(c.memoryInterval, 100*time.Millisecond) // the monitor's least
	for _, n := range []*int{&c.limitGlobal, &c.limitSearch, &c.limitIngest, &c.limitTotal} {
		*n = int(float64(*n) / f)
	}
}

// openLab makes the lab, or nil when this is a server for people.
func (c *serveSettings) openLab(logger *slog.Logger) (*lab.Lab, error) {
	if !c.inLab() {
		return nil, nil
	}
	return lab.New(lab.Config{Statement: c.labStatement, Seed: uint64(c.labSeed), Logger: logger})
}

// memoryReader reads this machine; in the lab a fault may change what it reads.
func memoryReader(l *lab.Lab) *memory.Reader {
	if l == nil {
		return memory.NewReader()
	}
	return memory.NewAlteredReader(l.Memory)
}
