// What a word is, and when two are the same, as package server/words has it: what is marked on the page is what was searched
// for. A test holds the two against each other.

const dropped = /[\u00ad\u200c\u200d\u2060\ufeff\u0640]|(?=[\p{Mn}\p{Me}])(?![\u3099\u309a])[\p{Script=Inherited}\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}]/u;
const joining = /[\p{M}\u1100-\u11ff]/u;
const special = new Map(Object.entries({ ß: 'ss', ł: 'l', ø: 'o', đ: 'd', ħ: 'h', ð: 'd', þ: 'th', æ: 'ae', œ: 'oe', ŧ: 't', ʼ: "'" }));
const letter = /[\p{L}\p{N}]/u;
const noLetter = /[\u19b0-\u19c9\u1cf2\u1cf3]/;
const ideograph = /[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{3ffff}]/u;

// A letter with its marks, or a run of Korean ones, which join their neighbours: what is composed as one.
const cluster = /[\u1100-\u11ff\uac00-\ud7a3]+|.\p{M}*/gsu;

// single is changed, unless it has become more than one character: capitals of ligatures are no simple ones.
const single = (changed, before) => (changed.length === before.length || [...changed].length === 1 ? changed : before);

function lower(c) {
  const upper = single(c.toUpperCase(), c);
  const low = single(upper.toLowerCase(), upper);
  return special.get(low) ?? low;
}

function foldLetter(c) {
  if (c >= 'a' && c <= 'z') return c;
  if (dropped.test(c)) return '';
  const parts = [...c.normalize('NFKD')];
  if (parts.length === 1 && parts[0] === c || parts.some(p => joining.test(p) && !dropped.test(p))) return lower(c);
  return parts.map(p => (dropped.test(p) ? '' : lower(p))).join('');
}

// fold returns text in the form in which words are compared: lower case, without diacritics.
export function fold(text) {
  return Array.from(text.normalize('NFC'), foldLetter).join('');
}

// words returns the words of text, folded, each with where it begins and ends there.
export function words(text) {
  const found = [];
  let open = null; // the word that the next letter continues
  for (const m of text.matchAll(cluster)) {
    for (const c of fold(m[0])) {
      if (!letter.test(c) || noLetter.test(c)) {
        open = null;
        continue;
      }
      const alone = ideograph.test(c);
      if (!open || alone) found.push(open = { word: '', start: m.index, end: 0 });
      open.word += c;
      open.end = m.index + m[0].length;
      if (alone) open = null;
    }
    // Marks and joiners that leave no trace belong to the word before them.
    if (open && dropped.test(m[0][0])) open.end = m.index + m[0].length;
  }
  return found;
}

const maxWords = 64; // of a query; the server searches for no more

// terms returns what a query asks for: lists of words that stand together, most of them of one word.
export function terms(query) {
  const list = [];
  let left = maxWords;
  const add = run => {
    const term = words(run).slice(0, left).map(w => w.word);
    left -= term.length;
    if (term.length > 0) list.push(term);
  };
  const pieces = fold(query.replace(/[“”„‟«»＂]/g, '"')).split('"');
  if (pieces.length % 2 === 0) pieces.push(pieces.splice(-2).join('"')); // a quote that is never closed is none
  pieces.forEach((piece, i) => {
    if (i % 2 === 1) add(piece);
    else piece.split(/[\s\u0085]+/).forEach(run => add(run));
  });
  return list;
}

// matches returns where the terms stand in text, in order and without overlaps: [start, end] in UTF-16 units.
export function matches(text, wanted) {
  const all = words(text);
  const ranges = [];
  const byFirst = new Map();
  for (const term of wanted) byFirst.set(term[0], [...(byFirst.get(term[0]) ?? []), term]);
  all.forEach((w, i) => {
    for (const term of byFirst.get(w.word) ?? []) {
      if (!term.every((word, j) => all[i + j]?.word === word)) continue;
      const end = all[i + term.length - 1].end;
      const last = ranges.at(-1);
      if (last && w.start <= last[1]) last[1] = Math.max(last[1], end);
      else ranges.push([w.start, end]);
    }
  });
  return ranges;
}
