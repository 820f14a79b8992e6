// The operators' page: asks the server once a second, and says what is wrong. An answer that does not come is said, too, and
// the figures before it are never shown as if they were of now.

import {judge, milliseconds, seconds} from './rules.js';
import {History} from './figures.js';
import * as say from './cards.js';
import * as draw from './draw.js';

const every = 1e3, hiddenEvery = 10e3; // ms between two questions; the second while nobody looks
const patience = 4e3;                  // ms for an answer
const old = 3500;                      // ms after which the last answer is not of now any more
const mostStatements = 10;

const $ = id => document.getElementById(id);
const history = new History();
const began = performance.now();
let answered = 0, clock = '';  // when the last answer came, and the time of day then
let fault = '';                // why there was none since
let paused = false, asking = false, timer = 0;
let found = [], last = null;   // findings and cards of the last answer

async function ask() {
  if (asking || paused) return;
  asking = true;
  clearTimeout(timer);
  const at = performance.now();
  try {
    const r = await fetch('ops', {cache: 'no-store', signal: AbortSignal.timeout(patience)});
    if (!r.ok) throw new Error(`It answers with status ${r.status}.`);
    take(await r.json());
  } catch (e) {
    fault = e.name === 'TimeoutError' ? `It takes longer than ${seconds(patience / 1000)}.` : e.name === 'TypeError' ? 'Nothing can be reached there.' : e.message;
  }
  asking = false;
  show();
  timer = setTimeout(ask, Math.max(0, (document.hidden ? hiddenEvery : every) - (performance.now() - at)));
}

// take keeps an answer, unless it is not one.
function take(d) {
  if (d.schema_version !== 1 || !d.requests) throw new Error('It answers with something else than this page asks for: load the page again.');
  answered = performance.now();
  clock = new Date().toLocaleTimeString();
  fault = '';
  history.add(answered, d);
  const v = history.view();
  found = judge(v);
  last = {v, cards: say.cards(v)};
  for (const c of last.cards) history.answers.at(-1).points[c.id] = c.point;
}

// show draws the state of this moment, with or without a new answer.
function show() {
  const age = performance.now() - (answered || began);
  const stale = age > old + (document.hidden ? hiddenEvery : 0) || !last;
  document.documentElement.classList.toggle('old', stale || paused);
  if (paused) {
    draw.banner('unknown', 'Paused.', last ? `The figures are from ${clock}, and not live.` : '');
  } else if (stale && fault) {
    draw.banner('critical', `No answer for ${seconds(age / 1000)}.`, `${fault} ${last ? `The figures below are from ${clock}, and not live. ` : ''}` +
      'Is the process there, and the way to it? systemctl status tomehub; journalctl -u tomehub -n 100. Runbook: TomehubDown.');
  } else if (stale) {
    draw.banner('unknown', 'Asking the server …', last ? `The figures below are from ${clock}, and not live.` : '');
  } else {
    wellOrNot();
  }
  draw.findings(stale || paused ? [] : found);
  if (last) figures(stale || paused);
  announce(paused ? 'paused' : stale ? 'stale' : found.map(f => f.level + f.card + f.runbook).join());
}

function wellOrNot() {
  const v = last.v, worst = found[0];
  const rest = found.length > 1 ? ` ${found.length - 1} more below.` : '';
  const t = v.times();
  const now = `Live, ${clock}: ${say.perSecond(v.rate(x => x.requests.total))} requests/s` + (t.count ? `, 95 % of them within ${milliseconds(t.p95)}` : '') + '.';
  if (!worst) draw.banner('ok', 'All is well.', now);
  else draw.banner(worst.level, worst.what, now + rest);
}

function figures(dead) {
  const v = last.v;
  const level = c => found.find(f => f.card === c.id)?.level || (c.off ? 'off' : 'ok');
  draw.cards(last.cards, c => dead ? 'off' : level(c), c => dead ? 'old' : level(c), id => history.points(id));
  draw.statements(`Statements of the last ${seconds(v.minute.seconds)}`, v.minute.statements().slice(0, mostStatements));
  const d = v.d;
  draw.text($('about'), [d.server, 'phase ' + d.phase, d.lab ? 'a lab' : '', d.status === 'ok' ? '' : d.status, 'up ' + seconds(v.uptime)].filter(Boolean).join(' · '));
}

// announce tells a screen reader of a change of state that lasts, and names it in the window's title: not each second's figures.
let pending = '', since = 0, told = null;
function announce(key) {
  const now = performance.now();
  if (key !== pending) [pending, since] = [key, now];
  const state = $('state').textContent, level = $('banner').className.split(' ')[1];
  document.title = `${{ok: '✓', warning: '▲', critical: '✖'}[level] || '?'} ${level === 'ok' ? 'well' : state.slice(0, 60)} · TomeHub`;
  if (key === told || told !== null && now - since < 1500) return;
  told = key;
  draw.text($('say'), `${level === 'ok' || level === 'unknown' ? '' : level + ': '}${state}`);
}

$('pause').addEventListener('click', () => {
  paused = !paused;
  $('pause').textContent = paused ? 'Go on' : 'Pause';
  show();
  ask();
});
document.addEventListener('visibilitychange', () => { if (!document.hidden) { show(); ask(); } });

$('live').hidden = $('pause').hidden = false;
setInterval(show, every);
ask();
