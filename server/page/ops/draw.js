// Draws what ops.js has found out. Every text goes in as text: nothing that a server says can become markup.

const svg = 'http://www.w3.org/2000/svg';
const $ = id => document.getElementById(id);

// element makes one with a class and children; a child that is a string is text.
function element(name, className, ...children) {
  const e = document.createElement(name);
  if (className) e.className = className;
  e.append(...children);
  return e;
}

export function text(e, value) {
  if (e.textContent !== value) e.textContent = value; // else a selection would be lost each second
}

// banner shows the sentence of the moment.
export function banner(level, title, detail) {
  $('banner').className = 'state ' + level;
  text($('state'), title);
  text($('now'), detail);
}

// findings shows what is wrong, with what mends it; the first is what the banner says already.
export function findings(list) {
  const key = JSON.stringify(list);
  if ($('findings').dataset.key === key) return;
  $('findings').dataset.key = key;
  $('findings').replaceChildren(...list.map((f, i) => {
    const item = element('li', f.level);
    if (i) item.append(element('p', '', element('span', 'level', f.level + ': '), f.what));
    item.append(element('p', '', f.mend));
    if (f.runbook) item.append(element('p', 'soft', 'Runbook: ', element('code', '', f.runbook)));
    return item;
  }));
}

const shown = new Map(); // cards by id

// cards shows them; level and word are functions of a card.
export function cards(list, level, word, points) {
  for (const [id, old] of shown) {
    if (!list.some(c => c.id === id)) { old.card.remove(); shown.delete(id); }
  }
  for (const c of list) {
    const at = shown.get(c.id) || make(c);
    at.card.className = 'card ' + level(c);
    text(at.title, c.title);
    text(at.word, word(c));
    text(at.main, c.main);
    lines(at.lines, c.lines);
    if (c.point !== undefined) picture(at, points(c.id), c.top);
  }
}

function make(c) {
  const at = {title: element('span'), word: element('span'), main: element('p', 'main'), lines: element('dl')};
  const label = element('span', 'word', element('span', 'shape'), at.word);
  label.firstChild.setAttribute('aria-hidden', 'true');
  at.card = element('section', '', element('h3', '', at.title, label), at.main, at.lines);
  at.card.dataset.card = c.id;
  if (c.point !== undefined) {
    at.picture = document.createElementNS(svg, 'svg');
    at.picture.setAttribute('viewBox', '0 0 300 40');
    at.picture.setAttribute('preserveAspectRatio', 'none');
    at.picture.setAttribute('aria-hidden', 'true');
    [at.edge, at.line] = ['edge', 'line'].map(name => {
      const path = document.createElementNS(svg, 'path');
      path.setAttribute('class', name);
      at.picture.append(path);
      return path;
    });
    at.main.after(at.picture);
  }
  shown.set(c.id, at);
  $('cards').append(at.card);
  return at;
}

function lines(list, wanted) {
  while (list.children.length > 2 * wanted.length) list.lastChild.remove();
  while (list.children.length < 2 * wanted.length) list.append(element('dt'), element('dd'));
  wanted.flat().forEach((value, i) => text(list.children[i], value));
}

// picture draws what is remembered, a minute at least, now at the right, from 0 to the largest value or the bound, which is a
// dashed line. Where nothing was heard for a while the line is broken.
function picture(at, points, top) {
  const most = Math.max(top || 0, ...points.map(([, v]) => v || 0)) * 1.08 || 1;
  const y = v => (39 - 37 * v / most).toFixed(1);
  const long = Math.max(60e3, ...points.map(([age]) => age));
  let d = '', last = Infinity;
  for (const [age, v] of points) {
    if (v === null) { last = Infinity; continue; }
    d += `${last - age > 15e3 ? 'M' : 'L'}${(300 - 300 * age / long).toFixed(1)} ${y(v)}`;
    last = age;
  }
  at.line.setAttribute('d', d);
  at.edge.setAttribute('d', top ? `M0 ${y(top)}H300` : '');
}

// statements fills the table.
export function statements(title, list) {
  text($('statements-title'), title);
  const rows = list.map(s => [s.name, String(s.executions), (s.elapsed_us / 1e6).toFixed(2), (s.elapsed_us / s.executions / 1000).toFixed(2),
    (s.acquire_wait_us / s.executions / 1000).toFixed(2), String(s.errors)]);
  const body = $('statements');
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, i) => {
    const row = body.rows[i] || body.insertRow();
    cells.forEach((value, k) => {
      const cell = row.cells[k] || row.appendChild(element(k ? 'td' : 'th'));
      if (!k) cell.scope = 'row';
      text(cell, value);
    });
  });
}
