// Makes the elements of the page. Whatever a book says becomes a text node: nothing of it is ever read as HTML.
import { matches } from './words.js';

// make returns an element with attributes and children; strings among these become text.
export function make(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) e.setAttribute(name, value === true ? '' : value);
  }
  e.append(...children.filter(c => c !== undefined && c !== ''));
  return e;
}

// plain is a text for a line that it shares with ours: without the characters that would turn what stands beside it around.
export const plain = text => text.replace(/[\u202a-\u202e\u2066-\u2069]/g, '');

// title is the name of a book, which may be written in another direction than ours.
export const title = book => make('bdi', {}, plain(book) || 'A book without a title');

export const place = p => [p.page_number ? `page ${p.page_number}` : '', p.chapter ? plain(p.chapter) : ''].filter(Boolean).join(' · ');

// marked returns the nodes of text[from:to] with the ranges marked.
function marked(text, ranges, from = 0, to = text.length) {
  const nodes = [];
  let at = from;
  for (const [start, end] of ranges) {
    if (end <= from || start >= to) continue;
    const [a, b] = [Math.max(start, from), Math.min(end, to)];
    nodes.push(text.slice(at, a), make('mark', {}, text.slice(a, b)));
    at = b;
  }
  nodes.push(text.slice(at, to));
  return nodes.filter(n => n !== '');
}

// whole returns the nodes of a text with all its matches marked.
export const whole = (text, terms) => marked(text, matches(text, terms));

const around = 420; // UTF-16 units of a passage in the list
const lead = 130; // of those before the first match

// busiest is where the first match stands of those that show the most different words together.
function busiest(text, ranges) {
  let [most, at] = [0, 0];
  for (const [start] of ranges.slice(0, 50)) {
    const together = ranges.filter(([a]) => a >= start && a < start + around - lead).map(([a, b]) => text.slice(a, b).toLowerCase());
    const kinds = new Set(together).size;
    if (kinds > most) [most, at] = [kinds, start];
  }
  return at;
}

// excerpt returns the nodes of the part of a text in which most of what was searched for is seen.
export function excerpt(text, terms) {
  const ranges = matches(text, terms);
  if (text.length <= around * 1.25) return marked(text, ranges);
  let from = Math.max(0, Math.min(busiest(text, ranges) - lead, text.length - around));
  const space = from > 0 ? text.slice(from, from + 60).search(/\s/) : -1;
  if (space >= 0) from += space + 1;
  let to = Math.min(text.length, from + around);
  const back = to < text.length ? text.slice(to - 60, to).search(/\s\S*$/) : -1;
  if (back >= 0) to -= 60 - back;
  const within = i => i > 0 && i < text.length && /[\udc00-\udfff]/.test(text[i]) && /[\ud800-\udbff]/.test(text[i - 1]);
  if (within(from)) from--;
  if (within(to)) to++;
  return [from > 0 ? '… ' : '', ...marked(text, ranges, from, to), to < text.length ? ' …' : ''].filter(n => n !== '');
}

// result is one match of the list; href opens it.
export function result(r, terms, href) {
  return make('li', { id: `p${r.id}` },
    make('h3', {}, make('a', { href, 'data-passage': r.id }, title(r.title))),
    make('p', { class: 'soft' }, place(r) || 'page unknown'),
    make('p', { class: 'passage', dir: 'auto' }, ...excerpt(r.content ?? '', terms)));
}

const deepest = 10000; // results that page numbers reach; from there on each page leads to the next one

// pages returns the list of links to pages; href makes their addresses.
export function pages(r, href) {
  const reach = Math.floor(deepest / r.page_size);
  const last = Math.min(r.total_pages, reach);
  const items = [];
  const item = (name, target, attributes = {}) => items.push(make('li', {}, target === undefined
    ? make('span', attributes, name) : make('a', { href: target, ...attributes }, name)));
  if (r.page > 1) {
    const before = Math.min(r.page - 1, reach);
    item(before === r.page - 1 ? 'Previous' : `Back to page ${before}`, href({ page: before }), { rel: 'prev' });
  }
  const numbers = new Set([1, last]);
  for (let n = r.page - 2; n <= r.page + 2; n++) if (n >= 1 && n <= last) numbers.add(n);
  let before = 0;
  for (const n of [...numbers].sort((a, b) => a - b)) {
    if (n > before + 1) item('…', undefined, { class: 'gap' });
    item(String(n), href({ page: n }), { 'aria-label': `Page ${n}`, 'aria-current': n === r.page ? 'page' : undefined });
    before = n;
  }
  if (r.page > last) item(String(r.page), undefined, { 'aria-current': 'page', 'aria-label': `Page ${r.page}` });
  if (r.has_next) item('Next', href(r.page < reach ? { page: r.page + 1 } : { cursor: r.next_cursor }), { rel: 'next' });
  return r.total_pages > 1 ? [make('ul', {}, ...items)] : [];
}

// count says how much was found, as it is read aloud.
export function count(r) {
  if (r.total_count === 0) return 'No passage holds all of these words.';
  const n = r.total_count === 1 ? '1 result' : `${r.total_count.toLocaleString('en')} results`;
  if (r.results.length === 0) return `${n}, and none on page ${r.page}: the last one is page ${r.total_pages}.`;
  return `${n}, page ${r.page.toLocaleString('en')} of ${r.total_pages.toLocaleString('en')}`;
}

// notes says what a reader should know of an answer that is less than usual.
export function notes(r) {
  const list = [];
  if (r.stale) list.push('The database cannot be asked at the moment. These results were kept from earlier: newer books may be missing.');
  else if (r.mode === 'keyword_only') list.push('The library is busy, so the concepts of these passages were left out.');
  if (r.query_truncated) list.push('Only the first 64 words were searched for.');
  return list.map(n => make('p', {}, n));
}
