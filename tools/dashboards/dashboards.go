package main

// dashboards are all of them, by the name of their file.
func dashboards() map[string]dashboard {
	return map[string]dashboard{
		"overview":   newDashboard("overview", "overview", "Is it well, and if not, where to look. Begin here.", "30s", overview),
		"database":   newDashboard("database", "database", "Pools, statements and the query cache.", "30s", database),
		"resilience": newDashboard("resilience", "resilience", "Breakers, memory, streams, limits and restarts.", "30s", resilience),
		"loadtest":   newDashboard("loadtest", "load test", "What to watch while tomehub loadtest runs; the time range is short and the figures fine.", "5s", loadtest),
	}
}

// users are requests of users: health routes and unknown paths are none.
const users = `SEL,route!~"/api/health.*|/api/openapi.yaml|unknown.*"`

// requestQuantiles are quantiles of answers to searches; a stream lasts as long as its reader reads.
var requestQuantiles = []series{
	{`histogram_quantile(0.50, sum by (le) (rate(tomehub_http_request_duration_seconds_bucket{SEL,route="/api/search"}[RATE])))`, "p50"},
	{`histogram_quantile(0.95, sum by (le) (rate(tomehub_http_request_duration_seconds_bucket{SEL,route="/api/search"}[RATE])))`, "p95"},
	{`histogram_quantile(0.99, sum by (le) (rate(tomehub_http_request_duration_seconds_bucket{SEL,route="/api/search"}[RATE])))`, "p99"},
}

var errorRatio = series{`sum(rate(tomehub_http_request_duration_seconds_count{` + users + `,code=~"5.."}[RATE])) / sum(rate(tomehub_http_request_duration_seconds_count{` + users + `}[RATE]))`, "failed"}

var hitRatio = series{`sum by (instance) (rate(tomehub_cache_requests_total{SEL,result=~"hit|joined"}[RATE])) / sum by (instance) (rate(tomehub_cache_requests_total{SEL}[RATE]))`, ""}

var poolUse = series{`go_sql_in_use_connections{SEL} / go_sql_max_open_connections`, "{{instance}} {{db_name}}"}

var overview = []chart{
	{title: "Servers that answer", unit: "short", stat: true, series: []series{{`sum(up{SEL})`, "up"}}},
	{title: "Requests", unit: "reqps", stat: true, series: []series{{`sum(rate(tomehub_http_request_duration_seconds_count{` + users + `}[RATE]))`, "requests"}}},
	{title: "Failed", unit: "percentunit", stat: true, warn: .01, bad: .05, series: []series{errorRatio}},
	{title: "p95 of searches", unit: "s", stat: true, warn: 3, bad: 5, series: requestQuantiles[1:2]},
	{title: "Budget burn, 1 h", says: "How many times too fast failures use up the 1 % of 30 days; 14.4 is a page.", unit: "short", stat: true, warn: 1, bad: 14.4, series: []series{{`job:tomehub_slo_errors:ratio_rate1h / 0.01`, "errors"}}},
	{title: "Breakers not closed", unit: "short", stat: true, bad: 1, series: []series{{`sum(tomehub_circuit_breaker_state{SEL,state!="closed"})`, "open"}}},
	{title: "Requests by code", unit: "reqps", stack: true, series: []series{{`sum by (code) (rate(tomehub_http_request_duration_seconds_count{` + users + `}[RATE]))`, "{{code}}"}}},
	{title: "Searches: time to answer", unit: "s", bad: 5, series: requestQuantiles},
	{title: "Requests by route", unit: "reqps", stack: true, series: []series{{`sum by (route) (rate(tomehub_http_request_duration_seconds_count{` + users + `}[RATE])) > 0`, "{{route}}"}}},
	{title: "Failed requests", says: "Status 500 and above, refusals of a bound among them.", unit: "percentunit", bad: .01, series: []series{errorRatio}},
	{title: "Pools in use", unit: "percentunit", most: 1, bad: .8, series: []series{poolUse}},
	{title: "Cache hits", says: "Joined questions among them. The plan counts on 70 %.", unit: "percentunit", most: 1, series: []series{hitRatio}},
	{title: "Memory in use", says: "Of the limit of the container, else of the machine.", unit: "percentunit", most: 1, warn: .7, bad: .85, series: []series{{`tomehub_memory_used_ratio{SEL}`, ""}}},
	{title: "Streams under way", unit: "short", series: []series{{`tomehub_streams_active{SEL}`, "{{instance}}"}, {`tomehub_streams_limit{SEL}`, "{{instance}} limit"}}},
}

var database = []chart{
	{title: "Slots in use", says: "Slots are what callers hold; on the embedded library fewer connections stand behind them.", unit: "short", series: []series{
		{`go_sql_in_use_connections{SEL}`, "{{instance}} {{db_name}}"}, {`go_sql_max_open_connections{SEL}`, "{{instance}} {{db_name}} all"},
	}},
	{title: "Callers that wait", unit: "short", series: []series{{`tomehub_db_pool_waiting{SEL}`, "{{instance}} {{pool}}"}}},
	{title: "Wait for a slot, p95", unit: "s", series: []series{{`histogram_quantile(0.95, sum by (pool, le) (rate(tomehub_db_acquire_seconds_bucket{SEL,outcome="granted"}[RATE])))`, "{{pool}}"}}},
	{title: "Callers refused, by bound", unit: "reqps", stack: true, series: []series{{`sum by (pool, reason) (rate(tomehub_db_pool_refusals_total{SEL}[RATE]))`, "{{pool}} {{reason}}"}}},
	{title: "Statements", unit: "reqps", stack: true, series: []series{{`sum by (op) (rate(tomehub_db_query_duration_seconds_count{SEL}[RATE])) > 0`, "{{op}}"}}},
	{title: "Time of a statement, p95", unit: "s", bad: 1, series: []series{{`histogram_quantile(0.95, sum by (op, le) (rate(tomehub_db_query_duration_seconds_bucket{SEL,outcome="ok"}[RATE]))) > 0`, "{{op}}"}}},
	{title: "Where the time goes", says: "Statements that run at a time, by name: the sum of their times per second.", unit: "short", stack: true, series: []series{{`sum by (op) (rate(tomehub_db_query_duration_seconds_sum{SEL}[RATE])) > 0`, "{{op}}"}}},
	{title: "Slow and failed statements", unit: "reqps", series: []series{
		{`sum(rate(tomehub_db_slow_queries_total{SEL}[RATE]))`, "slow"}, {`sum(rate(tomehub_db_query_duration_seconds_count{SEL,outcome="error"}[RATE]))`, "failed"},
	}},
	{title: "Statements of a request", says: "The mean. A route that needs one for each match shows here (N+1).", unit: "short", series: []series{
		{`sum by (route) (rate(tomehub_http_db_queries_per_request_sum{SEL,route!~"/api/health.*"}[RATE])) / (sum by (route) (rate(tomehub_http_db_queries_per_request_count{SEL}[RATE])) > 0)`, "{{route}}"},
	}},
	{title: "Connections to the database", unit: "short", series: []series{
		{`go_sql_open_connections{SEL}`, "{{instance}} {{db_name}} open"}, {`tomehub_db_connections_in_use{SEL}`, "{{instance}} {{pool}} in use"},
		{`tomehub_db_connections_waiting{SEL}`, "{{instance}} {{pool}} waited for"},
	}},
	{title: "Cache hits by class", unit: "percentunit", most: 1, series: []series{
		{`sum by (cache) (rate(tomehub_cache_requests_total{SEL,result=~"hit|joined"}[RATE])) / (sum by (cache) (rate(tomehub_cache_requests_total{SEL}[RATE])) > 0)`, "{{cache}}"},
	}},
	{title: "Size of the cache", unit: "bytes", stack: true, series: []series{{`sum by (cache) (tomehub_cache_size_bytes{SEL})`, "{{cache}}"}}},
	{title: "Entries that went", unit: "reqps", series: []series{{`sum by (cache, reason) (rate(tomehub_cache_evictions_total{SEL}[RATE]))`, "{{cache}} {{reason}}"}}},
	{title: "Answers past their time, loads that failed", unit: "reqps", series: []series{
		{`rate(tomehub_cache_stale_answers_total{SEL}[RATE])`, "{{instance}} stale"}, {`rate(tomehub_cache_load_failures_total{SEL}[RATE])`, "{{instance}} failed"},
	}},
}

var resilience = []chart{
	{title: "State of the breakers", says: "2 is open, 1 half open, 0 closed.", unit: "short", most: 2, bad: 2, series: []series{
		{`sum by (instance, name) (2 * tomehub_circuit_breaker_state{SEL,state="open"} or tomehub_circuit_breaker_state{SEL,state="half_open"})`, "{{instance}} {{name}}"},
	}},
	{title: "Calls through the breakers", unit: "reqps", stack: true, series: []series{{`sum by (name, result) (rate(tomehub_circuit_breaker_calls_total{SEL}[RATE]))`, "{{name}} {{result}}"}}},
	{title: "Changes of state", unit: "short", series: []series{{`sum by (name, from, to) (increase(tomehub_circuit_breaker_transitions_total{SEL}[RATE]))`, "{{name}}: {{from}} to {{to}}"}}},
	{title: "Memory in use", unit: "percentunit", most: 1, series: []series{
		{`tomehub_memory_used_ratio{SEL}`, "{{instance}}"}, {`max by (state) (tomehub_memory_threshold_ratio{SEL})`, "{{state}}"},
	}},
	{title: "Memory of the process", unit: "bytes", series: []series{
		{`process_resident_memory_bytes{SEL}`, "{{instance}} resident"}, {`go_memstats_heap_inuse_bytes{SEL}`, "{{instance}} heap"}, {`tomehub_memory_limit_bytes{SEL} < 9e18`, "{{instance}} limit"},
	}},
	{title: "Goroutines and connections", unit: "short", series: []series{{`go_goroutines{SEL}`, "{{instance}} goroutines"}, {`tomehub_http_connections{SEL}`, "{{instance}} connections"}}},
	{title: "Streams", unit: "short", series: []series{
		{`tomehub_streams_active{SEL}`, "{{instance}} under way"}, {`tomehub_streams_waiting{SEL}`, "{{instance}} waiting"}, {`tomehub_streams_limit{SEL}`, "{{instance}} limit"},
	}},
	{title: "Streams that ended or were refused", unit: "reqps", series: []series{
		{`sum by (reason) (rate(tomehub_streams_closed_total{SEL}[RATE]))`, "{{reason}}"}, {`sum by (reason) (rate(tomehub_streams_refused_total{SEL}[RATE]))`, "refused: {{reason}}"},
	}},
	{title: "Requests refused by a limit", unit: "reqps", series: []series{{`sum by (limiter) (rate(tomehub_ratelimit_decisions_total{SEL,decision="refused"}[RATE]))`, "{{limiter}}"}}},
	{title: "Books that are read", unit: "short", series: []series{{`tomehub_ingests_active{SEL}`, "{{instance}}"}, {`tomehub_ingests_waiting{SEL}`, "{{instance}} waiting"}}},
	{title: "Answers, by who wrote them", unit: "reqps", stack: true, series: []series{{`sum by (source) (rate(tomehub_answers_total{SEL}[RATE]))`, "{{source}}"}}},
	{title: "Restarts", says: "By the supervisor, and by whoever else: changes of the process.", unit: "short", series: []series{
		{`sum by (reason) (increase(tomehub_restarts_total{SEL}[RATE]))`, "{{reason}}"}, {`changes(process_start_time_seconds{SEL}[RATE])`, "{{instance}} began anew"},
	}},
}

var loadtest = []chart{
	{title: "Requests", unit: "reqps", stat: true, series: []series{{`sum(rate(tomehub_http_request_duration_seconds_count{` + users + `}[RATE]))`, "requests"}}},
	{title: "p95 of searches", unit: "s", stat: true, warn: 5, bad: 8, series: requestQuantiles[1:2]},
	{title: "Failed", unit: "percentunit", stat: true, warn: .03, bad: .1, series: []series{errorRatio}},
	{title: "Requests at a time", unit: "short", stat: true, series: []series{{`sum(tomehub_http_requests_in_flight{` + users + `})`, "requests"}}},
	{title: "Cache hits", unit: "percentunit", stat: true, series: []series{{`sum(rate(tomehub_cache_requests_total{SEL,result=~"hit|joined"}[RATE])) / sum(rate(tomehub_cache_requests_total{SEL}[RATE]))`, "hits"}}},
	{title: "CPUs in use", unit: "short", stat: true, series: []series{{`sum(rate(process_cpu_seconds_total{SEL}[RATE]))`, "CPUs"}}},
	{title: "Requests by code", unit: "reqps", stack: true, wide: true, series: []series{{`sum by (code) (rate(tomehub_http_request_duration_seconds_count{` + users + `}[RATE]))`, "{{code}}"}}},
	{title: "Searches: time to answer", unit: "s", bad: 8, series: requestQuantiles},
	{title: "Time to answer by route, p95", unit: "s", series: []series{{`histogram_quantile(0.95, sum by (route, le) (rate(tomehub_http_request_duration_seconds_bucket{` + users + `}[RATE]))) > 0`, "{{route}}"}}},
	{title: "Requests at a time", unit: "short", series: []series{{`sum by (instance) (tomehub_http_requests_in_flight{` + users + `})`, ""}}},
	{title: "Pools in use", unit: "percentunit", most: 1, series: []series{poolUse}},
	{title: "Wait for a slot, p95", unit: "s", series: []series{{`histogram_quantile(0.95, sum by (pool, le) (rate(tomehub_db_acquire_seconds_bucket{SEL}[RATE])))`, "{{pool}}"}}},
	{title: "Statements per request", unit: "short", series: []series{{`sum(rate(tomehub_db_query_duration_seconds_count{SEL}[RATE])) / sum(rate(tomehub_http_request_duration_seconds_count{` + users + `}[RATE]))`, "statements"}}},
	{title: "Wait for a stream, p95", unit: "s", series: []series{{`histogram_quantile(0.95, sum by (le) (rate(tomehub_stream_wait_seconds_bucket{SEL}[RATE])))`, "p95"}}},
	{title: "CPU and garbage collection", unit: "short", series: []series{{`rate(process_cpu_seconds_total{SEL}[RATE])`, "{{instance}} CPUs"}, {`rate(go_gc_duration_seconds_sum{SEL}[RATE])`, "{{instance}} stopped for collection"}}},
}
