package main

// phases are the states of the plan, in order; each has all of the one before it.
var phases = []string{"baseline", "A", "B", "C", "D"}

// phasePresets gives, for each phase, the settings in which it differs from the
// default (which is phase D). A setting given by flag, environment or .env file wins
// over the preset, so that every task of the plan can be switched, and rolled back, alone.
//
//   - baseline: one pool of 20, five statements per search and one per detail, no limits, no monitor.
//   - A: one pool of 40 (A1), memory monitor (A2), rate limits (A3).
//   - B: query cache (B2), two statements per search (B3).
//   - C: read and write pools (C1), of which a slow one sheds; a bound on streams (C2); restart
//     when memory is critical (C3); circuit breakers and answers without a database (D4).
//   - D: metrics (D1, D4).
var phasePresets = map[string]map[string]string{
	"baseline": {
		"db-pool-split": "false", "db-pool-size": "20", "db-pool-shed-wait": "0", "max-concurrent-streams": "0",
		"access-path": "five", "query-cache": "false",
		"rate-limit-global": "0", "rate-limit-search": "0", "rate-limit-ingest": "0",
		"breaker": "false", "degrade": "false", "stale-for": "0",
		"memory-monitor": "false", "memory-restart": "false", "memory-limit-ratio": "0",
		"metrics": "false",
	},
	"A": {
		"db-pool-split": "false", "db-pool-size": "40", "db-pool-shed-wait": "0", "max-concurrent-streams": "0",
		"access-path": "five", "query-cache": "false",
		"breaker": "false", "degrade": "false", "stale-for": "0",
		"memory-restart": "false",
		"metrics":        "false",
	},
	"B": {
		"db-pool-split": "false", "db-pool-size": "40", "db-pool-shed-wait": "0", "max-concurrent-streams": "0",
		"breaker": "false", "degrade": "false", "stale-for": "0",
		"memory-restart": "false",
		"metrics":        "false",
	},
	"C": {"metrics": "false"},
	"D": {},
}
