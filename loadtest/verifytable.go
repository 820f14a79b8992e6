package loadtest

// verifyChecks are the lines of the plan's checklists in its order: the validation checklist of every task, the analysis
// questions and the deliverable of B1 (which has no checklist), and the implementation checklist, whose lines sum up a
// task each.
func verifyChecks() []*verifyCheck {
	var all []*verifyCheck
	for _, part := range [][]*verifyCheck{phaseALines(), phaseBLines(), phaseCLines(), phaseDLines()} {
		all = append(all, part...)
	}
	return all
}

func rollUp(id, plan string) *verifyCheck {
	return &verifyCheck{id: id, plan: plan, did: "the task's lines below, summed up", target: true}
}

func phaseALines() []*verifyCheck {
	return []*verifyCheck{
		rollUp("A1", "Increase DB pool to 40"),
		{id: "A1.1", plan: "Pool initializes with max=40", bench: "A", target: true, run: poolOf40,
			did: "started phase A; read /api/health/pools and the log line the plan prints", reading: "the log line is exact; a server with two pools passes with a read pool of 40 or more"},
		{id: "A1.2", plan: "No errors in startup logs", bench: "A", run: quietStart, did: "looked through the log for levels WARN and ERROR"},
		{id: "A1.3", plan: "Database queries still work", bench: "A", target: true, run: queriesWork, did: "searched, and read a passage that was found"},
		{id: "A1.4", plan: "Connection timeout works after 30s", bench: "timeout", run: connectionTimeout,
			did: "12 searches at once for a pool of 1 whose statements take 1 s, DB_POOL_TIMEOUT=500ms", reading: "30 s is the setting, which A1.1 reads in the log; the wait is shown with 500 ms"},
		{id: "A1.5", plan: "100 users should see ~50% latency improvement", bench: "pools", run: pool20Against40,
			did: "100 users in the lab against a pool of 20, then of 40, 5 statements of 0.3 s per search, times × 0.25", reading: "mean answer 40 % shorter or better; without think time, so that the pool alone decides"},

		rollUp("A2", "Add memory monitoring"),
		{id: "A2.1", plan: "psutil installed and working", bench: "memory", target: true, run: memoryReader,
			did: "compared process_rss_mb with what the system says of the process", reading: "psutil is Python's; here the server reads its memory itself"},
		{id: "A2.2", plan: "Memory endpoint responds with valid data", bench: "memory", target: true, run: memoryEndpoint, did: "read /api/health/memory and checked that its figures agree with each other"},
		{id: "A2.3", plan: "Logs show periodic memory checks", bench: "memory", run: memoryLog, did: "counted the lines at debug level, with a check every 100 ms"},
		{id: "A2.4", plan: "Warning logs appear when >70% memory used", bench: "memory", run: memoryWarning, did: "put in memory pressure (lab) of 68, then 72 %", reading: "percent of the memory limit, a cgroup's where there is one"},
		{id: "A2.5", plan: "Critical logs appear when >85% memory used", bench: "memory", run: memoryCritical, did: "put in memory pressure (lab) of 83, then 87 %", reading: "percent of the memory limit; slog has no level CRITICAL, it is ERROR"},

		rollUp("A3", "Implement rate limiting"),
		{id: "A3.1", plan: "Rate limiting library working (slowapi already imported)", bench: "A", target: true, run: limitsCount,
			did: "two searches of one user: X-RateLimit-Remaining goes down by one", reading: "slowapi is Python's; the limiter is the server's own"},
		{id: "A3.2", plan: "429 responses returned after limit exceeded", bench: "A", target: true, run: limitExceeded, did: "sent one search more than X-RateLimit-Limit allows, of one user", reading: "101 requests at the plan's 100 per minute"},
		{id: "A3.3", plan: "Per-endpoint limits applied correctly", bench: "A", target: true, run: limitsPerRoute, did: "with that user's searches used up, read a passage and sent an (empty) ingest"},
		{id: "A3.4", plan: "Configuration via environment variables works", bench: "env", run: limitsByEnvironment, did: "started with RATE_LIMIT_SEARCH=7 and DB_POOL_SIZE=13 in the environment; sent 8 searches"},
		{id: "A3.5", plan: "Retry-After header included in 429 response", bench: "A", target: true, run: retryAfter, did: "read the header and retry_after of that 429"},
	}
}

func phaseBLines() []*verifyCheck {
	lines := []*verifyCheck{
		rollUp("B1", "Profile queries (identify slow queries)"),
		{id: "B1.1", plan: "Which queries are slowest? (>1 second average)", bench: "profile", run: slowestStatements,
			did: "profiled 90 requests of phase A in the lab (20 ms a statement)", reading: "answered when the profile names the slowest by average; above 1 s there need be none"},
		{id: "B1.2", plan: "Which are executed most often? (high Exec count)", bench: "profile", run: mostExecuted, did: "held the profile's executions against X-Tomehub-Statements of every answer"},
		{id: "B1.3", plan: "Can they be optimized with indexes? (look for full table scans)", bench: "profile", run: tableScans,
			did: "explained the queries of the profile's top 10 on the library", reading: "a question; passes when each was explained and none scans a table; the list of all books, which reads them all, is left out"},
		{id: "B1.4", plan: "Can results be cached? (frequently repeated queries)", bench: "profile", run: repeatedStatements, did: "30 of the 60 searches were asked before: compared their statements with the first ones'"},
		{id: "B1.5", plan: "Deliverable: list of top 10 slow queries with execution counts", bench: "profile", run: topTen, did: "read the profile's list"},
	}
	lines = append(lines, cacheLines()...)
	return append(lines, detailLines()...)
}

func cacheLines() []*verifyCheck {
	return []*verifyCheck{
		rollUp("B2", "Add query result caching (10-60min TTL)"),
		{id: "B2.1", plan: "Query cache service created and working", bench: "cache", target: true, run: cacheWorks, did: "asked a search twice"},
		{id: "B2.2", plan: "Cache keys are unique per query + params", bench: "cache", target: true, run: cacheKeys, did: "changed query, page, page_size and include_details one at a time, then asked each again"},
		{id: "B2.3", plan: "TTL works correctly (results expire)", bench: "cache", run: cacheExpires, did: "asked again at once, and after the TTL, here 2 s", reading: "the plan's 10 to 60 min are settings, read in /api/health/cache"},
		{id: "B2.4", plan: "Cache invalidated on new ingestion", bench: "cache", run: cacheInvalidated, did: "asked for a word twice, ingested a book with it, asked again"},
		{id: "B2.5", plan: "Logs show cache hits/misses", bench: "cache", run: cacheLog, did: `looked for "Search cache HIT" and "Search cache MISS" in the log`, reading: "at debug level: a line per search is no news in operation"},
	}
}

func detailLines() []*verifyCheck {
	return []*verifyCheck{
		rollUp("B3", "Optimize N+1 patterns (batch API)"),
		{id: "B3.1", plan: "Search endpoint supports include_details parameter", bench: "details", target: true, run: detailsAsked, did: "searched with and without it"},
		{id: "B3.2", plan: "Batch endpoint implemented and working", bench: "details", target: true, run: batchWorks, did: "asked for 100 passages and one that there is not, and for more than allowed"},
		{id: "B3.3", plan: "Performance improvement measured (should be 10-20x faster)", bench: "batch", run: batchAgainstSingles,
			did: "100 reads one after the other against one batch of 100, in the lab (30 ms a statement) and without", reading: "judged in the lab, where a statement takes its time as a database's does; embedded, 100 reads cost little anyway"},
		{id: "B3.4", plan: "Database execution plan uses JOINs (not N+1)", bench: "details", target: true, run: noNPlusOne, did: "counted the statements of searches with 1, 10 and 100 details, and of a batch of 100", reading: "as many statements for 100 details as for 1"},
		{id: "B3.5", plan: "Both endpoints return consistent data", bench: "details", target: true, run: sameDetails, did: "compared 20 passages from search with details, batch and single reads"},

		rollUp("B4", "Implement pagination"),
		{id: "B4.1", plan: "Pagination parameters validated", bench: "details", target: true, run: pageParameters, did: "sent pages and page sizes that are none, and good ones"},
		{id: "B4.2", plan: "Total count calculated correctly", bench: "details", target: true, run: totalCount, did: "read a search page by page and counted"},
		{id: "B4.3", plan: "Offset/limit applied correctly", bench: "details", target: true, run: offsets, did: "compared pages of 10 with one page of 50"},
		{id: "B4.4", plan: "has_next flag accurate", bench: "details", target: true, run: hasNext, did: "looked at it on every page, and behind the last"},
		{id: "B4.5", plan: "Performance: single page fast (50 results <<< 10000 results)", bench: "details", run: pageIsFast,
			did: "fetched one page of 50 and every match with details, five times each", reading: "a page has 1,000 results at most; compared with reading all pages of a search"},
	}
}

func phaseCLines() []*verifyCheck {
	return []*verifyCheck{
		rollUp("C1", "Separate read/write pools"),
		{id: "C1.1", plan: "Two pools initialized at startup", bench: "C", target: true, run: twoPools, did: "read /api/health/pools"},
		{id: "C1.2", plan: `Logs show pool status: "Read: 5-50, Write: 2-10"`, bench: "C", run: poolsLogged, did: "looked for the line in the log", reading: `the line reads "read 5-50, write 2-10": same figures, no colon`},
		{id: "C1.3", plan: "Search queries use read pool", bench: "C", run: searchesRead, did: "10 searches; compared the pools' counts of acquired connections"},
		{id: "C1.4", plan: "Ingestion queries use write pool", bench: "C", run: ingestsWrite, did: "an ingest; compared the same counts"},
		{id: "C1.5", plan: "Under combined load: searches not blocked by ingestion", bench: "ingest", run: searchesBesideIngests,
			did: "8 users searching for 2 s alone, then beside 8 who ingest through 2 write connections, in the lab (30 ms a statement)", reading: "median search at most 1.5 times as long while the write pool has requests waiting"},

		rollUp("C2", "Stream backpressure limiting"),
		{id: "C2.1", plan: "StreamLimiter initialized with max capacity", bench: "C", target: true, run: streamLimit, did: "read /api/health/streams"},
		{id: "C2.2", plan: "100th stream completes successfully", bench: "streams", run: stream100, did: "100 streams at once, each held by an answer service of ours, which then lets them go"},
		{id: "C2.3", plan: "101st stream waits or gets 503", bench: "streams", run: stream101, did: "one more while 100 are open, --stream-wait 300ms"},
		{id: "C2.4", plan: "Memory stays below limit during heavy streaming", bench: "streams", run: streamMemory, did: "read /api/health/memory with the 100 streams open", reading: "the limit is the cgroup's or the machine's; and 512 MiB for the process"},
		{id: "C2.5", plan: "Health endpoint shows stream count", bench: "streams", run: streamCount, did: "read /api/health/streams with the 100 streams open and after"},

		rollUp("C3", "Memory pressure auto-restart"),
		{id: "C3.1", plan: "Auto-restart manager starts and monitors", bench: "restart", run: restartMonitors, did: "read /api/health/restart twice"},
		{id: "C3.2", plan: "Warning logged at 75% memory", bench: "restart", run: restartWarning, did: "--memory-warning 75, memory pressure (lab) of 73, then 76 %", reading: "the plan has 70 % in A2 and 75 % here; the default is 70, and a setting"},
		{id: "C3.3", plan: "Graceful shutdown at 85% memory", bench: "leaving", run: restartGraceful, did: "memory pressure (lab) of 83, then 87 % while 8 searches were under way", reading: "the pressure counts as the process's own: a server does not leave for the memory of others"},
		{id: "C3.4", plan: "Process exits cleanly (can be restarted)", bench: "leaving", run: restartExit, did: "read the exit code, started a server on the same library, and searched", reading: "code 75 asks a supervisor for a fresh process"},
		{id: "C3.5", plan: "Health endpoints show status", bench: "restart", run: restartHealth, did: "read /api/health/memory and /restart at 76 % and without pressure"},
	}
}

// readingD is how all of phase D's lines came about.
const readingD = "the plan has no checklist of this task; the line is what it needs to be of use"

func phaseDLines() []*verifyCheck {
	return []*verifyCheck{
		rollUp("D1", "Prometheus metrics"),
		{id: "D1.1", plan: "Metrics are served for Prometheus", bench: "D", target: true, run: metricsServed, did: "scraped /metrics of the admin listener, and looked for it on the public one", reading: readingD},
		{id: "D1.2", plan: "Every metric of the plan is there", bench: "D", target: true, run: metricsNamed, did: "looked for each family, its labels and its help", reading: readingD},
		{id: "D1.3", plan: "Metrics move with what happens", bench: "D", target: true, run: metricsMove, did: "sent the same new search twice between two scrapes", reading: readingD},
		{id: "D1.4", plan: "Labels are bounded", bench: "D", target: true, run: metricsBounded, did: "invented paths and methods, and counted the series", reading: readingD},
		{id: "D1.5", plan: "Metrics and health routes agree", bench: "D", target: true, run: metricsAgree, did: "held /metrics against /api/health/pools and /streams", reading: readingD},

		rollUp("D2", "Grafana dashboards"),
		{id: "D2.1", plan: "Overview, database, resilience and load test have a dashboard", bench: "D", target: true, run: dashboardsThere, did: "read those of deploy/grafana that are in this program", reading: readingD},
		{id: "D2.2", plan: "Every panel asks for what the server exports", bench: "D", target: true, run: dashboardsHaveData, did: "scraped /metrics and looked for each metric of each panel", reading: readingD},
		rollUp("D3", "AlertManager rules"),
		{id: "D3.1", plan: "Every failure has its alert, with what to do", bench: "D", target: true, run: alertsThere, did: "read deploy/prometheus/alerts.yml as it is in this program", reading: readingD},
		{id: "D3.2", plan: "Every alert asks for what the server exports", bench: "D", target: true, run: alertsHaveData, did: "scraped /metrics and looked for each metric of each rule", reading: readingD + "; that alerts fire needs a Prometheus: loadtest run checkpoint-d --prometheus"},
		rollUp("D4", "Circuit breaker metrics"),
		{id: "D4.1", plan: "State of each breaker", bench: "D", target: true, run: breakersTold, did: "read the breakers' states from /metrics: exactly one of three is 1", reading: readingD},
		{id: "D4.2", plan: "Transitions are counted", bench: "breaker", run: breakerTransitions, did: "took the database away (lab) for 1.5 s and searched on until the breaker had opened and closed", reading: readingD},
		{id: "D4.3", plan: "Calls are counted by result", bench: "breaker", run: breakerCalls, did: "looked at the same outage", reading: readingD},
	}
}
