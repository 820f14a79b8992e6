package loadtest

// ServerFigures are what a TomeHub said of itself during a run. Its counters are read at the start and at the end of the
// measured time, so each number is exact for what the server counted between the two readings: a request counts, with
// its statements, when its answer ends, so those under way at an edge belong to the side on which they end.
//
// What the server did not tell is nil: the statements without an admin listener, the memory of a phase without a monitor.
type ServerFigures struct {
	Version string  `json:"version,omitempty"`
	Phase   string  `json:"phase,omitempty"`
	FromS   float64 `json:"from_s"` // when the counters were read, in seconds since the run began
	ToS     float64 `json:"to_s"`

	Statements *StatementFigures `json:"statements,omitempty"`
	Cache      *CacheFigures     `json:"cache,omitempty"`
	Pools      []PoolFigures     `json:"pools,omitempty"`
	Streams    *StreamFigures    `json:"streams,omitempty"`
	Memory     *MemoryFigures    `json:"memory,omitempty"`
	CPU        *CPUFigures       `json:"cpu,omitempty"`
	InFlight   *PeakMean         `json:"in_flight,omitempty"` // requests under way, those about health left out

	Breakers        []BreakerFigures    `json:"breakers,omitempty"`
	Transitions     []BreakerTransition `json:"breaker_transitions,omitempty"` // at most 200, of the whole run
	MoreTransitions int                 `json:"breaker_transitions_left_out,omitempty"`

	// Restarts are of the whole run. A counter that began anew is added to what was counted before; what the old process
	// counted after it was last read is lost, so every count is then a least one.
	Restarts []Restart `json:"restarts,omitempty"`

	Top     *StatementWindow `json:"top_statements,omitempty"`
	Samples []ServerSample   `json:"samples"` // of the whole run, the warm-up included; at most 1,200
	Polls   PollFigures      `json:"polls"`
	Notes   []string         `json:"notes,omitempty"` // what could not be read, and why
}

// PeakMean is a gauge over the measured time: the most of all samples, and their mean by time.
type PeakMean struct {
	Peak float64 `json:"peak"`
	Mean float64 `json:"mean"`
}

// StatementFigures are requests and the statements they ran. Requests about health are left out: some are the observer's own.
type StatementFigures struct {
	Requests   int64          `json:"requests"` // answered, in whatever way
	OK         int64          `json:"ok"`       // answered with 2xx
	Statements int64          `json:"statements"`
	PerRequest float64        `json:"per_request"` // of all requests, also those that were refused before they asked anything
	PerOK      float64        `json:"per_ok"`      // all statements for each 2xx
	Routes     []RouteFigures `json:"routes"`      // with requests, the one with most statements first
}

// RouteFigures are those of one route of the server.
type RouteFigures struct {
	Route      string  `json:"route"` // "GET /api/content/:id"
	Requests   int64   `json:"requests"`
	OK         int64   `json:"ok"`
	Statements int64   `json:"statements"`
	PerRequest float64 `json:"per_request"`
	PerOK      float64 `json:"per_ok"`
	WaitMS     float64 `json:"acquire_wait_ms"` // waiting for connections, per request
	MeanMS     float64 `json:"mean_ms"`         // by the server's own clock, per request
}

// CacheFigures count the questions asked of the query cache. HitRate is percent of all: hits, misses, and those that
// joined an identical question under way.
type CacheFigures struct {
	Hits    int64   `json:"hits"`
	Misses  int64   `json:"misses"`
	Joined  int64   `json:"joined"`
	HitRate float64 `json:"hit_rate"`
	MiB     float64 `json:"mib"` // at the end
}

// PoolFigures are those of one pool of connections.
type PoolFigures struct {
	Name      string   `json:"name"`
	Size      int      `json:"size"`
	InUse     PeakMean `json:"in_use"`
	Waiting   PeakMean `json:"waiting"`
	Acquired  int64    `json:"acquired"`
	Waits     int64    `json:"waits"`                // of all who asked, who had to wait at all; counted when the wait was over
	WaitMS    float64  `json:"wait_ms"`              // per wait, on average
	Refused   int64    `json:"refused"`              // queue full, waited too long, or shed
	Left      int64    `json:"left"`                 // whose request ended while it asked
	WaitShare float64  `json:"wait_share"`           // percent of all who asked: of those who acquired, were refused or left
	FullShare float64  `json:"full_share,omitempty"` // percent of the samples of the measured time in which all connections were in use
}

// StreamFigures are those of streamed answers.
type StreamFigures struct {
	Limit     int      `json:"limit"`
	Active    PeakMean `json:"active"`
	Started   int64    `json:"started"`
	Completed int64    `json:"completed"`
	Failed    int64    `json:"failed"`
	Stalled   int64    `json:"stalled"` // cut because the client did not read
	Refused   int64    `json:"refused"`
}

// MemoryFigures are in MiB and percent of the limit that the server holds itself to.
type MemoryFigures struct {
	LimitMiB        float64  `json:"limit_mib"`
	RSS             PeakMean `json:"rss_mib"`                      // of the process
	Percent         PeakMean `json:"percent"`                      // of the limit, by all that counts against it
	GrowthMiBMin    *float64 `json:"growth_mib_per_min,omitempty"` // a straight line through the RSS of all samples; nil with fewer than 10
	WarningSeconds  float64  `json:"warning_s"`
	CriticalSeconds float64  `json:"critical_s"`
}

// BreakerFigures are those of one circuit breaker.
type BreakerFigures struct {
	Name     string  `json:"name"`
	Opened   int64   `json:"opened"`
	Rejected int64   `json:"rejected"`
	OpenS    float64 `json:"open_s"` // open or half-open, within one poll's distance at each end
	State    string  `json:"state"`  // at the end
}

// A BreakerTransition was first seen at AtS, in seconds since the run began; it happened since the poll before.
type BreakerTransition struct {
	AtS  float64 `json:"at_s"`
	Name string  `json:"name"`
	To   string  `json:"to"` // open, half-open or closed
}

// A Restart was first seen at AtS, in seconds since the run began.
type Restart struct {
	AtS float64 `json:"at_s"`
}

// A ServerSample is what the server said between the sample before and AtS, by the same clock as the windows. Counts are
// of that time, gauges are the mean of its polls and, named so, the most of them.
type ServerSample struct {
	AtS     float64 `json:"at_s"` // its end
	LengthS float64 `json:"length_s"`
	Polls   int     `json:"polls"` // put together into it; more than 1 in runs longer than 1,200 polls

	Requests   *int64   `json:"requests,omitempty"` // nil without an admin listener
	Statements *int64   `json:"statements,omitempty"`
	InFlight   *float64 `json:"in_flight,omitempty"`

	Hits   int64 `json:"hits"`
	Misses int64 `json:"misses"`
	Joined int64 `json:"joined"`

	Pools []PoolSample `json:"pools"`

	Streams        float64 `json:"streams"`
	StreamsMax     int     `json:"streams_max"`
	StreamsRefused int64   `json:"streams_refused"`

	Memory *MemorySample `json:"memory,omitempty"`

	Open      []string `json:"open,omitempty"`      // breakers that were open
	HalfOpen  []string `json:"half_open,omitempty"` // or half-open
	Restarted int      `json:"restarted,omitempty"` // times
}

// PoolSample is one pool within a sample.
type PoolSample struct {
	Name       string  `json:"name"`
	Size       int     `json:"size"`
	InUse      float64 `json:"in_use"`
	InUseMax   int     `json:"in_use_max"`
	Waiting    float64 `json:"waiting"`
	WaitingMax int     `json:"waiting_max"`
	Acquired   int64   `json:"acquired"`
	Waits      int64   `json:"waits"`
	Refused    int64   `json:"refused"`
}

// MemorySample is the memory within a sample, in MiB and percent of its limit.
type MemorySample struct {
	RSSMiB     float64 `json:"rss_mib"`
	RSSMaxMiB  float64 `json:"rss_max_mib"`
	Percent    float64 `json:"percent"`
	PercentMax float64 `json:"percent_max"`
	Health     string  `json:"health"` // the worst: ok, warning or critical
}

// PollFigures tell what observing cost the server and how well it went.
type PollFigures struct {
	EveryS  float64 `json:"every_s"`
	Taken   int     `json:"taken"`
	Skipped int     `json:"skipped"`  // because the one before was still under way
	Failed  int     `json:"failed"`   // without a whole answer
	Asked   int64   `json:"requests"` // sent to the server, all polls together
	Bytes   int64   `json:"bytes"`
	MeanMS  float64 `json:"mean_ms"` // of one poll
	MaxMS   float64 `json:"max_ms"`
}

// A StatementWindow is what the database did for the server in the measured time, from whoever watches statements.
type StatementWindow struct {
	Source     string         `json:"source"`
	WindowS    float64        `json:"window_s"`
	Executions int64          `json:"executions"` // of all statements, also those not listed
	TotalMS    float64        `json:"total_ms"`
	Statements []TopStatement `json:"statements"` // the costliest first
	Findings   []string       `json:"findings,omitempty"`
}

// A TopStatement is one statement in the measured time.
type TopStatement struct {
	Name       string  `json:"name"`
	SQL        string  `json:"sql,omitempty"`
	Executions int64   `json:"executions"`
	PerRequest float64 `json:"per_request,omitempty"` // by StatementFigures.Requests; Run fills it in
	TotalMS    float64 `json:"total_ms"`
	AvgMS      float64 `json:"avg_ms"`
	Share      float64 `json:"share"` // percent of TotalMS of all
	Rows       int64   `json:"rows"`
	Errors     int64   `json:"errors"`
	WaitMS     float64 `json:"acquire_wait_ms"` // waiting for connections, all executions together
}
