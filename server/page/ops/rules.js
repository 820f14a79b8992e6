// What is wrong, in words: the rules of the operators' page. Nothing here asks or draws.
//
// A finding has a level (critical: somebody suffers now; warning: somebody will), the card that it belongs to, what is wrong,
// how to mend it, and the section of the runbook.

export const share = (part, whole) => whole > 0 ? part / whole : 0;
export const percent = x => (100 * x).toFixed(x < 0.0995 && x > 0 ? 1 : 0) + ' %';
export const count = n => Math.round(n).toLocaleString('en');
export const poolSetting = name => ({read: 'DB_POOL_READ_SIZE', write: 'DB_POOL_WRITE_SIZE'})[name] || 'DB_POOL_SIZE';
export const megabytes = n => count(n) + ' MB';

export function seconds(s) {
  if (s < 120) return Math.round(s) + ' s';
  if (s < 7200) return Math.round(s / 60) + ' min';
  return s < 172800 ? (s / 3600).toFixed(1) + ' h' : Math.round(s / 86400) + ' days';
}

// milliseconds shows a time given in ms.
export const milliseconds = ms => ms < 0.1 ? '< 0.1 ms' : ms < 10 ? ms.toFixed(1) + ' ms' : ms < 1000 ? Math.round(ms) + ' ms' : (ms / 1000).toFixed(1) + ' s';

// judge returns the findings, the worst first. What it is given is made by figures.js.
export function judge(v) {
  const rules = [leaving, database, breakers, pools, memory, streams, failures, slowness, connections, ingests, shared, limits, statements, cache, restarted];
  const found = rules.flatMap(rule => rule(v));
  return [...found.filter(f => f.level === 'critical'), ...found.filter(f => f.level !== 'critical')];
}

const finding = (level, card, what, mend, runbook) => ({level, card, what, mend, runbook});

function leaving({d}) {
  if (d.status === 'ok') return [];
  const why = d.memory.restart_requested ? ': ' + d.memory.reason : '';
  return [finding('warning', 'process', `The server is ${d.status}${why}. It answers what has begun and takes nothing new soon.`,
    'Nothing, when a successor serves; otherwise the log says who told it to go.', d.memory.restart_requested ? 'MemoryCritical' : '')];
}

function database({d}) {
  if (d.database !== 'down') return [];
  return [finding('critical', 'breakers', 'The database does not answer.',
    'Can it be reached from this machine (DB_DSN), is its listener up, are its sessions used up?', 'CircuitBreakerOpen')];
}

function breakers({d}) {
  return d.circuit_breakers.filter(b => b.state !== 'closed').map(b => {
    const level = b.state === 'open' && b.name === 'database' ? 'critical' : 'warning';
    const state = b.state === 'open' ? 'open: it is not asked' : 'half-open: probes are let through';
    const last = b.last_error ? ` It last said: ${b.last_error}` : '';
    return finding(level, 'breakers', `Circuit breaker ${b.name} is ${state}.${last}`,
      `Mend the part behind it, ${b.name === 'database' ? 'the database (DB_DSN)' : 'the service of answers (ANSWER_URL)'}; the breaker closes by itself.`, 'CircuitBreakerOpen');
  });
}

function pools({d, grown, mean}) {
  return d.pools.flatMap(p => {
    const mine = x => x.pools.find(q => q.name === p.name) || p;
    const refused = grown(x => mine(x).timed_out + mine(x).queue_full + mine(x).shed);
    const queued = mean(x => mine(x).in_use >= p.size && mine(x).waiting > 0 ? 1 : 0);
    const setting = poolSetting(p.name), card = 'pool ' + p.name;
    if (refused > 0 || queued >= 0.5) {
      const cost = refused > 0 ? `, and ${count(refused)} were refused in the last seconds` : '';
      return [finding('critical', card, `Pool ${p.name} is exhausted: ${p.in_use} of ${p.size} connections are in use, ${p.waiting} callers wait${cost}.`,
        `tomehub profile --duration 30s names what holds them. When all statements are quick and simply many, raise ${setting}.`, 'DBPoolExhausted')];
    }
    const used = mean(x => share(mine(x).in_use, p.size));
    if (used <= 0.8) return [];
    return [finding('warning', card, `Pool ${p.name} is nearly full: ${percent(used)} of its ${p.size} connections are in use.`,
      `tomehub profile --duration 60s --top 5 finds what to mend first; then raise ${setting}.`, 'DBPoolSaturated')];
  });
}

function memory({d}) {
  const m = d.memory;
  if (m.health === 'unknown') {
    return [finding('warning', 'memory', 'The memory cannot be read, so nothing protects the server from running out of it.', 'The log says why.', 'MemoryWarning')];
  }
  if (m.health !== 'critical' && m.health !== 'warning') return [];
  const use = `${megabytes(m.memory.used_mb)} of ${megabytes(m.memory.limit_mb)} (${percent(m.memory.percent / 100)}, ${m.memory.limit_origin})`;
  if (m.health === 'warning') {
    return [finding('warning', 'memory', `Memory runs short: ${use}.`, 'Make the cache smaller (TOMEHUB_QUERY_CACHE_SIZE) or the limit larger.', 'MemoryWarning')];
  }
  return [finding('critical', 'memory', `Memory is critical: ${use}. New streams and ingests are refused.`,
    m.restart_enabled ? 'If the memory is the server’s own, it restarts by itself; another process has to be stopped.' : 'The restart is off (TOMEHUB_MEMORY_RESTART): stop what takes the memory, or restart the server.', 'MemoryCritical')];
}

function streams({d, grown}) {
  const s = d.streams;
  const refused = grown(x => x.streams.refused.queue_full + x.streams.refused.timed_out);
  const mend = 'Are answers slow (ANSWER_URL), or has one user many (TOMEHUB_STREAMS_PER_USER)? Otherwise raise MAX_CONCURRENT_STREAMS.';
  if (s.max_concurrent > 0 && s.active_streams >= s.max_concurrent || refused > 0) {
    const cost = refused > 0 ? `, ${count(refused)} were refused in the last seconds` : '';
    return [finding('critical', 'streams', `All streams are taken: ${s.active_streams} of ${s.max_concurrent}, ${s.waiting} wait${cost}.`, mend, 'StreamsNearLimit')];
  }
  if (s.utilization <= 0.8) return [];
  return [finding('warning', 'streams', `${s.active_streams} of ${s.max_concurrent} streams are under way.`, mend, 'StreamsNearLimit')];
}

function failures({minute}) {
  const failed = minute.grown(x => x.requests.failed), total = minute.grown(x => x.requests.total);
  const part = share(failed, total);
  if (failed < 1 || part < 0.01) return [];
  return [finding(part >= 0.05 && failed >= 5 ? 'critical' : 'warning', 'errors', `${percent(part)} of requests failed in the last ${seconds(minute.seconds)}: ${count(failed)} of ${count(total)}.`,
    'The log has the cause of each under its request id. Since a deployment? Go back, or one phase down (TOMEHUB_PHASE).', 'SLOErrorsBudgetBurn')];
}

function slowness({minute}) {
  const t = minute.times();
  if (t.count < 20 || t.p95 <= 5000) return [];
  return [finding('critical', 'times', `Answers are slow: one of twenty takes longer than ${milliseconds(t.p95)}, and 5 s is the objective.`,
    'tomehub profile --duration 30s tells whether a statement waits or runs.', 'SLOSlowBudgetBurn')];
}

function connections({d}) {
  if (d.connections <= 0.9 * d.max_connections) return [];
  return [finding(d.connections >= d.max_connections ? 'critical' : 'warning', 'process', `${count(d.connections)} of ${count(d.max_connections)} connections of clients are open; more wait unseen.`,
    'Raise TOMEHUB_MAX_CONNECTIONS, or find the client that holds so many.', '')];
}

function ingests({d, grown}) {
  const refused = grown(x => x.ingests.queue_full + x.ingests.timed_out);
  if (!refused) return [];
  return [finding('warning', 'ingests', `${count(refused)} books were refused in the last seconds: ${d.ingests.in_use} of ${d.ingests.slots} are being read, ${d.ingests.waiting} wait.`,
    'Send them one after the other, or raise TOMEHUB_MAX_CONCURRENT_INGESTS; each takes several times its size in memory.', '')];
}

// shared is what replicas have in common, in Redis.
function shared({d}) {
  const out = [];
  if (!d.limits.storage.up) {
    out.push(finding('warning', 'limits', 'The shared storage of the rate limits does not answer; each process counts for itself.', 'Can it be reached (RATE_LIMIT_STORAGE)?', ''));
  }
  if (d.cache && d.cache.second_level && !d.cache.second_level.up) {
    out.push(finding('warning', 'cache', 'The second level of the cache does not answer.', 'Can it be reached (TOMEHUB_CACHE_STORAGE)?', ''));
  }
  return out;
}

function limits({minute}) {
  const refused = minute.grown(x => x.requests.limited), total = minute.grown(x => x.requests.total);
  if (refused < 20 || share(refused, total) < 0.05) return [];
  return [finding('warning', 'limits', `${percent(share(refused, total))} of requests are refused by a rate limit.`,
    'One client: that is what it is for. All at once: they share an address (TOMEHUB_TRUSTED_PROXIES), or the limit is too low (RATE_LIMIT_SEARCH, RATE_LIMIT_GLOBAL).', 'RateLimitRejectionsHigh')];
}

function statements({minute}) {
  return minute.statements().filter(s => s.executions >= 20 && s.elapsed_us / s.executions > 1e6).slice(0, 1).map(s =>
    finding('warning', 'times', `Statement ${s.name} takes ${milliseconds(s.elapsed_us / s.executions / 1000)} on average.`,
      'tomehub profile --duration 60s --top 10; on Oracle, compare its plan with that of last week.', 'DBQuerySlow'));
}

// A server that has just begun has an empty cache, which is no fault.
function cache({d, minute, uptime}) {
  if (!d.cache || !d.cache.enabled || uptime < 600) return [];
  const hits = minute.grown(x => x.cache.hits), all = hits + minute.grown(x => x.cache.misses + x.cache.joined);
  if (all < 100 || hits / all >= 0.5) return [];
  return [finding('warning', 'cache', `Only ${percent(hits / all)} of questions are answered by the cache.`,
    'Evictions for size: raise TOMEHUB_QUERY_CACHE_SIZE. Otherwise entries end too early (TOMEHUB_CACHE_TTL_CONTENT), or many ingests renew the library.', 'CacheHitRatioLow')];
}

function restarted({d, uptime}) {
  const reasons = Object.entries(d.restarts).filter(([why, n]) => n > 0 && why !== 'handover');
  if (uptime > 120 || reasons.length === 0) return [];
  return [finding('warning', 'process', `The server began anew ${seconds(uptime)} ago; so far for ${reasons.map(([why, n]) => `${why}: ${n}`).join(', ')}.`,
    'The log has the last words of the one before.', 'RestartLooping')];
}
