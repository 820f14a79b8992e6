// The last five minutes of the server's answers, and what they say together. Counts of the server are since its start, so a
// rate is the difference of two answers by the server's own clock.

const kept = 300e3;   // ms of answers that are remembered
const lately = 5e3;   // ms that "now" is: long enough for a percentile, short enough to see an end
const minute = 60e3;

export class History {
  constructor() { this.answers = []; } // {t, d, points}: when it came, the answer, what the small pictures show of it

  // add takes an answer that came at t, in ms on any clock that runs on.
  add(t, d) {
    this.answers.push({t, d, points: {}});
    this.answers = this.answers.filter(a => a.t > t - kept);
  }

  // view is what the rules and cards are given.
  view() {
    const {d} = this.answers.at(-1);
    return {d, uptime: (Date.parse(d.now) - Date.parse(d.started_at)) / 1000, ...this.span(lately), minute: this.span(minute)};
  }

  // span compares the last answer with the one that long ago. One from before a restart is another process's.
  span(ms) {
    const now = this.answers.at(-1);
    const same = this.answers.filter(a => a.d.started_at === now.d.started_at);
    const within = same.filter(a => a.t > now.t - ms);
    const before = same.filter(a => a.t <= now.t - ms).at(-1) || same[0];
    const seconds = (Date.parse(now.d.now) - Date.parse(before.d.now)) / 1000;
    const grown = of => Math.max(0, of(now.d) - of(before.d));
    return {
      seconds, grown,
      rate: of => seconds > 0 ? grown(of) / seconds : 0,
      mean: of => within.reduce((sum, a) => sum + of(a.d), 0) / within.length,
      times: () => times(before.d.requests.times_us, before === now ? [] : now.d.requests.times_us),
      statements: () => statements(before.d.statements, now.d.statements),
    };
  }

  // points are those of a name, as [age in ms, value], null where nothing is known.
  points(name) {
    const end = this.answers.at(-1).t;
    return this.answers.map(a => [end - a.t, a.points[name] ?? null]);
  }
}

// times reads percentiles, in ms, from what two lists of buckets differ by.
function times(before, now) {
  const old = new Map(before);
  const buckets = now.map(([end, n]) => [end, n - (old.get(end) || 0)]).filter(([, n]) => n > 0);
  const all = buckets.reduce((sum, [, n]) => sum + n, 0);
  const at = part => {
    let left = part * all;
    for (const [end, n] of buckets) {
      const start = end > 64 ? end - 2 ** (Math.floor(Math.log2(end - 1)) - 2) : 0; // four buckets double the time
      if (left <= n) return (start + (end - start) * left / n) / 1000;
      left -= n;
    }
    return 0;
  };
  return {count: all, p50: at(0.5), p95: at(0.95)};
}

function statements(before, now) {
  const old = new Map(before.map(s => [s.name, s]));
  return now.map(s => {
    const was = old.get(s.name) || {executions: 0, elapsed_us: 0, acquire_wait_us: 0, errors: 0};
    return {name: s.name, executions: s.executions - was.executions, elapsed_us: s.elapsed_us - was.elapsed_us,
      acquire_wait_us: s.acquire_wait_us - was.acquire_wait_us, errors: s.errors - was.errors};
  }).filter(s => s.executions > 0).sort((a, b) => b.elapsed_us - a.elapsed_us);
}
