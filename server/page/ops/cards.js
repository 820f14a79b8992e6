// What stands on the cards: for each a title, a main figure, lines, and what its small picture shows.

import {share, percent, count, seconds, milliseconds, megabytes} from './rules.js';

const none = '–';
export const perSecond = r => r >= 100 ? count(r) : r.toFixed(1);
const small = mb => mb < 10 ? mb.toFixed(1) : count(mb);

// cards returns them in the order of the page.
export function cards(v) {
  return [requests(v), times(v), errors(v), ...v.d.pools.map(p => pool(v, p)), cache(v), streams(v), memory(v), breakers(v), limits(v), ingests(v), life(v)].filter(Boolean);
}

function requests(v) {
  const r = v.rate(x => x.requests.total);
  return {id: 'requests', title: 'Requests', main: v.seconds ? perSecond(r) + '/s' : none, point: r,
    lines: [['in flight', count(v.d.requests.in_flight)], ['since the start', count(v.d.requests.total)], ['clients that left', count(v.d.requests.client_gone)]]};
}

function times(v) {
  const now = v.times(), minute = v.minute.times();
  return {id: 'times', title: 'Answer time, p95', main: now.count ? milliseconds(now.p95) : none, point: now.count ? now.p95 : null,
    lines: [['p50', now.count ? milliseconds(now.p50) : none], ['p95 of a minute', minute.count ? milliseconds(minute.p95) : none], ['left out', 'streams, ingests']]};
}

function errors(v) {
  const failed = v.rate(x => x.requests.failed), refused = v.rate(x => x.requests.refused), limited = v.rate(x => x.requests.limited);
  const total = v.rate(x => x.requests.total);
  return {id: 'errors', title: 'Failed or refused', main: v.seconds ? percent(share(failed + refused + limited, total)) : none, point: failed + refused + limited,
    lines: [['failed', perSecond(failed) + '/s'], ['refused by a bound', perSecond(refused) + '/s'], ['refused by a rate', perSecond(limited) + '/s']]};
}

function pool(v, p) {
  const mine = x => x.pools.find(q => q.name === p.name) || p;
  const waits = v.grown(x => mine(x).waits), waited = v.grown(x => mine(x).wait_total_ms);
  const refused = v.rate(x => mine(x).timed_out + mine(x).queue_full + mine(x).shed);
  return {id: 'pool ' + p.name, title: 'Pool ' + p.name, main: `${p.in_use} of ${p.size}`, point: p.in_use, top: p.size,
    lines: [['waiting', `${p.waiting} of ${p.queue}`], ['wait of who waited', waits ? milliseconds(waited / waits) : none], ['refused', perSecond(refused) + '/s'],
      ['open to the database', `${p.physical_open} of ${p.physical}`]]};
}

function cache(v) {
  const c = v.d.cache;
  if (!c || !c.enabled) return {id: 'cache', title: 'Cache', off: true, main: 'off', lines: []};
  const hits = v.grown(x => x.cache.hits), all = hits + v.grown(x => x.cache.misses + x.cache.joined);
  const lines = [['entries', count(c.entries)], ['size', `${small(c.bytes / 1048576)} of ${megabytes(c.max_bytes / 1048576)}`], ['answered past its time', count(c.stale)]];
  if (c.second_level) lines.push(['second level', c.second_level.up ? 'up' : 'down']);
  return {id: 'cache', title: 'Cache, hit rate', main: all ? percent(hits / all) : none, point: all ? 100 * hits / all : null, top: 100, lines};
}

function streams(v) {
  const s = v.d.streams;
  const refused = v.rate(x => x.streams.refused.queue_full + x.streams.refused.timed_out + x.streams.refused.per_user);
  return {id: 'streams', title: 'Streams', main: s.max_concurrent ? `${s.active_streams} of ${s.max_concurrent}` : count(s.active_streams), point: s.active_streams, top: s.max_concurrent,
    lines: [['waiting', count(s.waiting)], ['refused', perSecond(refused) + '/s'], ['failed or stalled', count(s.failed + s.stalled)]]};
}

function memory(v) {
  const m = v.d.memory.memory;
  if (!m) return {id: 'memory', title: 'Memory', off: v.d.memory.health === 'off', main: v.d.memory.health, lines: []};
  return {id: 'memory', title: 'Memory', main: percent(m.percent / 100), point: m.percent, top: 100,
    lines: [['used', `${count(m.used_mb)} of ${megabytes(m.limit_mb)}`], ['of', m.limit_origin], ['this process', megabytes(m.process_rss_mb)], ['critical from', m.critical_threshold + ' %']]};
}

function breakers(v) {
  const all = v.d.circuit_breakers;
  const open = all.filter(b => b.state !== 'closed').length;
  return {id: 'breakers', title: 'Circuit breakers', off: all.length === 0, main: all.length === 0 ? 'off' : open ? `${open} not closed` : 'closed',
    lines: [...all.map(b => [b.name, b.state + (b.window_failures ? `, ${b.window_failures} failed` : '')]), ['database, by ping', v.d.database]]};
}

function limits(v) {
  const l = v.d.limits, named = Object.entries(l.per_minute).filter(([, n]) => n > 0);
  return {id: 'limits', title: 'Rate limits', off: named.length === 0, main: named.length ? perSecond(v.rate(x => x.requests.limited)) + '/s refused' : 'off',
    lines: named.map(([name, n]) => [`${name}, ${count(n)}/min`, `${count(l.refused[name] || 0)} refused`])};
}

function ingests(v) {
  const i = v.d.ingests;
  return {id: 'ingests', title: 'Ingests', main: `${i.in_use} of ${i.slots}`, point: i.in_use, top: i.slots,
    lines: [['waiting', `${i.waiting} of ${i.queue}`], ['refused', count(i.queue_full + i.timed_out)]]};
}

function life(v) {
  const reasons = Object.entries(v.d.restarts).filter(([, n]) => n > 0);
  return {id: 'process', title: 'Process', main: v.d.status === 'ok' ? 'up ' + seconds(v.uptime) : v.d.status, point: v.d.connections,
    lines: [['connections', `${count(v.d.connections)} of ${count(v.d.max_connections)}`], ['restarts', reasons.length ? reasons.map(([why, n]) => `${why} ${n}`).join(', ') : '0']]};
}
