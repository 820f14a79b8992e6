// The search page: what is asked stands in its address, so that back, forward, reload and a bookmark all work.
import { ask, json, records, recorded, Refusal } from './ask.js';
import { count, make, notes, pages, place, plain, result, title, whole } from './show.js';
import { terms } from './words.js';

const $ = id => document.getElementById(id);
const byName = document.body.dataset.identity === 'name';
const nameKey = 'tomehub-name'; // of the session's storage; a token is kept nowhere

let view = read(); // what the address asks for
let shown = ''; // what the list shows: see keyOf
let searching = null, answering = null, opening = null; // the AbortControllers of what is under way
let counting = 0; // the timer of a countdown

function read() {
  const p = new URLSearchParams(location.search);
  const size = p.get('size');
  return { q: p.get('q') ?? '', page: p.get('page') ?? '', cursor: p.get('cursor') ?? '', size: ['20', '50'].includes(size) ? size : '10', passage: p.get('passage') ?? '' };
}

// href is the address of the view with some of it changed.
function href(change) {
  const v = { ...view, passage: '', page: '', cursor: '', ...change };
  const p = new URLSearchParams();
  if (v.q) p.set('q', v.q);
  if (v.page && String(v.page) !== '1') p.set('page', v.page);
  if (v.cursor) p.set('cursor', v.cursor);
  if (v.size !== '10') p.set('size', v.size);
  if (v.passage) p.set('passage', v.passage);
  return `?${p}`;
}

const keyOf = v => JSON.stringify([v.q, v.page, v.cursor, v.size]);

function go(address) {
  if (address !== location.search) history.pushState(null, '', address === '?' ? location.pathname : address);
  return render();
}

// headers say who asks. What cannot be a name or a token is not sent: no header may hold it.
function headers() {
  const value = (byName ? $('name') : $('token')).value.trim().replace(/^Bearer\s+/i, '');
  if (!value) return {};
  if (byName) {
    if (!/^[\w.\-@+:]{1,128}$/.test(value)) throw new Refusal('A name has up to 128 letters from A to Z, digits, and . _ - @ + : only.');
    return { 'X-Tomehub-User': value };
  }
  if (!/^[\x21-\x7e]+$/.test(value)) throw new Refusal('This is no ID token: a token has no spaces and no accents.');
  return { Authorization: `Bearer ${value}` };
}

async function render() {
  view = read();
  const moved = keyOf(view) !== shown;
  document.title = [view.q.slice(0, 100), view.page ? `page ${view.page}` : '', 'TomeHub'].filter(Boolean).join(' – ');
  if (moved) {
    $('q').value = view.q;
    $('size').value = view.size;
    await search();
  }
  await openPassage();
}

// search asks for what the address says and shows it. It returns whether it did.
async function search() {
  searching?.abort();
  stopAnswer();
  clear();
  shown = keyOf(view);
  if (!view.q) return false;
  const mine = searching = new AbortController();
  const slow = setTimeout(() => { $('status').textContent = 'Searching…'; }, 400);
  const p = new URLSearchParams({ q: view.q, include: 'details', page_size: view.size });
  if (view.cursor) p.set('cursor', view.cursor);
  else if (view.page) p.set('page', view.page);
  try {
    const found = await json(await ask(`api/search?${p}`, headers(), { signal: mine.signal }));
    if (mine === searching) show(found);
    return true;
  } catch (e) {
    if (mine === searching) fail(e, () => search());
    return false;
  } finally {
    clearTimeout(slow);
  }
}

function clear() {
  for (const id of ['list', 'pages', 'notes', 'concepts']) $(id).replaceChildren();
  $('status').textContent = '';
  $('results').hidden = true;
  $('answer').hidden = true;
  calm();
}

function show(found) {
  const wanted = terms(view.q);
  $('status').textContent = count(found);
  $('notes').replaceChildren(...notes(found));
  $('concepts').replaceChildren(...(found.concepts.length === 0 ? [] : [make('ul', {}, ...found.concepts.map(c =>
    make('li', {}, make('a', { href: href({ q: c.name.includes(' ') ? `"${c.name}"` : c.name }) }, make('bdi', {}, plain(c.name))))))]));
  $('list').replaceChildren(...found.results.map(r => result(r, wanted, href({ page: view.page, cursor: view.cursor, passage: r.id }))));
  $('pages').replaceChildren(...pages(found, href));
  $('results').hidden = found.results.length === 0 && found.total_pages < 1;
  $('write').hidden = found.results.length === 0;
}

// fail says why something did not work; again tries it once more.
function fail(e, again) {
  if (e.name === 'AbortError') return;
  if (!(e instanceof Refusal)) {
    console.error(e);
    e = new Refusal('This page failed. Reloading it may help.');
  }
  $('status').textContent = '';
  const button = make('button', { type: 'button' }, 'Try again');
  button.onclick = () => { calm(); again(); };
  const wait = make('p', { 'aria-live': 'off' });
  $('trouble').replaceChildren(make('p', {}, e.message), ...[e.detail, e.id && `Request ${e.id}`].filter(Boolean).map(t => make('p', { class: 'soft' }, plain(t))), wait);
  $('trouble').hidden = false;
  if (e.status === 401) {
    $('token').focus();
    wait.textContent = 'Paste an ID token above and search again.';
  } else if (e.code === 'cursor_expired' || e.code === 'cursor_invalid') {
    wait.append(make('a', { href: href({}) }, 'Begin at the first page'));
  } else if (e.status !== 400 && e.status !== 404) {
    $('trouble').append(button);
    countDown(e.wait, button, wait);
  }
}

// countDown keeps the button from being pressed in vain. It is not read aloud each second.
function countDown(seconds, button, wait) {
  const until = performance.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((until - performance.now()) / 1000);
    button.disabled = left > 0;
    wait.textContent = left > 0 ? `You can ask again in ${left} s.` : '';
    wait.hidden = left <= 0;
    if (left > 0) counting = setTimeout(tick, 250);
  };
  tick();
}

function calm() {
  clearTimeout(counting);
  $('trouble').hidden = true;
  $('trouble').replaceChildren();
}

// openPassage shows the passage that the address names, or none.
async function openPassage() {
  opening?.abort();
  if (!view.passage) {
    if ($('reader').open) $('reader').close();
    return;
  }
  const mine = opening = new AbortController();
  try {
    const p = await json(await ask(`api/content/${encodeURIComponent(view.passage)}`, headers(), { signal: mine.signal }));
    if (mine !== opening) return;
    $('reader-title').replaceChildren(title(p.title));
    $('reader-place').textContent = [place(p), `passage ${p.seq + 1} of its book`].filter(Boolean).join(' · ');
    $('reader-text').replaceChildren(...whole(p.content, terms(view.q)));
    if (!$('reader').open) $('reader').showModal();
  } catch (e) {
    if (mine === opening) fail(e, openPassage);
  }
}

// leavePassage takes the passage out of the address: by going back when that is where it was opened.
function leavePassage() {
  if (!view.passage) return;
  if (history.state?.opened) history.back();
  else go(href({ page: view.page, cursor: view.cursor }));
}

function stopAnswer(why = '') {
  answering?.abort();
  answering = null;
  $('answer').removeAttribute('aria-busy');
  $('cancel').hidden = true;
  $('write').disabled = false;
  $('answer-note').textContent = why;
}

// answer streams an answer drawn from the passages of this page, and shows its words as they come.
async function answer() {
  stopAnswer();
  calm();
  const mine = answering = new AbortController();
  const written = new Written();
  $('answer').hidden = false;
  $('answer').setAttribute('aria-busy', 'true');
  $('cancel').hidden = false;
  $('write').disabled = true;
  $('said').textContent = $('answer-note').textContent = 'Reading the passages…';
  const p = new URLSearchParams({ q: view.q, page_size: view.size });
  if (view.cursor) p.set('cursor', view.cursor);
  else if (view.page) p.set('page', view.page);
  try {
    for await (const r of records(await ask(`api/search/stream?${p}`, headers(), { signal: mine.signal }))) {
      if (mine !== answering) return;
      if (r.status === 'chunks_loaded') written.passages = r.results;
      else if (r.status === 'answer' && r.restart) written.void();
      else if (r.status === 'answer') written.add(r.text, r.passage_ids);
      else if (r.status === 'error') throw recorded({ status: 200, code: r.error, detail: r.detail, id: r.request_id });
      else if (r.status === 'complete') return stopAnswer(written.finish(r.answer));
    }
    throw new Refusal('The answer broke off before its end.');
  } catch (e) {
    if (mine !== answering) return;
    stopAnswer(e.name === 'AbortError' ? '' : 'This answer is not whole.');
    $('answer').hidden = !$('answer-text').hasChildNodes();
    fail(e, answer);
  }
}

// Written is an answer while it is written.
class Written {
  constructor() {
    this.passages = [];
    this.void();
  }

  void() {
    this.cited = [];
    this.rest = ''; // the beginning of what may be a citation
    $('answer-text').replaceChildren();
    $('sources').replaceChildren();
  }

  // add shows a piece. A citation that is not whole yet waits for the next one.
  add(text, ids) {
    for (const id of ids) if (!this.cited.includes(id)) this.cited.push(id);
    $('answer-note').textContent = '';
    text = this.rest + plain(text);
    const open = text.search(/\[\d{0,4}$/);
    this.rest = open < 0 ? '' : text.slice(open);
    this.append(open < 0 ? text : text.slice(0, open));
  }

  append(text) {
    text.split(/(\[\d{1,4}\])/).forEach((part, i) => {
      const id = i % 2 === 1 ? this.cited[part.slice(1, -1) - 1] : undefined;
      $('answer-text').append(id === undefined ? part : this.link(id, part));
    });
  }

  link(id, ...name) {
    return make('a', { href: href({ page: view.page, cursor: view.cursor, passage: id }), 'data-passage': id }, ...name);
  }

  // finish shows where the answer is from, and returns what else is to be said of it.
  finish(whole) {
    if (whole) this.cited = whole.passage_ids;
    this.append(this.rest);
    this.rest = '';
    $('sources').replaceChildren(...this.cited.map((id, i) => {
      const p = this.passages.find(r => r.id === id);
      return make('li', {}, this.link(id, `[${i + 1}] `, p ? title(p.title) : `passage ${id}`), p && place(p) ? `, ${place(p)}` : '');
    }));
    $('said').textContent = `The answer is written, from ${this.cited.length === 1 ? '1 passage' : `${this.cited.length} passages`}.`;
    if (!whole || whole.source === 'none') return 'There is no passage to answer from.';
    if (whole.degraded) return `The model did not answer (${whole.reason.replaceAll('_', ' ')}), so these are sentences of the passages.`;
    if (whole.truncated) return 'The model stopped at its longest answer.';
    return whole.source === 'extractive' ? 'These are sentences of the passages, as they stand there.' : `Written by ${plain(whole.model ?? 'a model')}: check it against its sources.`;
  }
}

async function ingest(event) {
  event.preventDefault();
  const form = new FormData();
  form.set('file', $('book').files[0]);
  $('added').textContent = 'Sending the book…';
  try {
    const who = headers();
    const b = await json(await ask('api/ingest', who, { method: 'POST', body: form }));
    $('added').replaceChildren(title(b.title), b.duplicate ? ' is there already.' : ` is in ${Object.keys(who).length ? 'your' : 'the shared'} library now, in ${b.passages === 1 ? '1 passage' : `${b.passages} passages`}.`);
    $('book').value = '';
  } catch (e) {
    $('added').textContent = '';
    fail(e, () => $('ingest').requestSubmit());
    $('trouble').scrollIntoView({ block: 'nearest' });
  }
}

// follow lets the page's own links change the view without loading the page anew.
function follow(event) {
  const link = event.target.closest('a[href^="?"], #home');
  if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (link.dataset.passage) {
    history.pushState({ opened: true }, '', link.getAttribute('href'));
    render();
    return;
  }
  go(link.id === 'home' ? '?' : link.getAttribute('href')).then(() => {
    if (link.id === 'home' || $('results').hidden) return $('q').focus();
    $('results').focus({ preventScroll: true });
    scrollTo({ top: 0 });
  });
}

function keys(event) {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !event.altKey && !$('reader').open) {
    event.preventDefault();
    $('q').focus();
    $('q').select();
  } else if (event.key === 'Escape' && answering && !$('reader').open) {
    event.preventDefault(); // or the box is emptied
    cancel();
  }
}

function cancel() {
  stopAnswer('You stopped this answer.');
  $('said').textContent = 'The answer was stopped.';
}

// identify asks anew as who the reader is now: what is shown may be another reader's.
function identify() {
  if (byName) sessionStorage.setItem(nameKey, $('name').value.trim());
  opening?.abort();
  if ($('reader').open) $('reader').close();
  search();
}

$('search').onsubmit = event => {
  event.preventDefault();
  view = { ...view, q: $('q').value, size: $('size').value };
  shown = ''; // also when it is the same again
  go(href({}));
};
$('size').onchange = () => view.q && $('search').requestSubmit();
$('write').onclick = answer;
$('cancel').onclick = cancel;
$('close').onclick = () => $('reader').close();
$('reader').onclose = leavePassage;
$('reader').onclick = event => event.target === $('reader') && $('reader').close();
$('ingest').onsubmit = ingest;
$('name').onchange = $('token').onchange = identify;
document.onclick = follow;
document.onkeydown = keys;
onpopstate = render;

for (const part of byName ? ['who-name', 'name-help'] : ['who-token', 'token-help']) $(part).hidden = false;
if (byName) $('name').value = sessionStorage.getItem(nameKey) ?? '';
if (!view.q) $('q').focus();
render();
