// Asks the API, and says in sentences why it did not answer.

// What the codes of refusals mean to a reader. A code that is not here has the server's own sentence.
const meanings = {
  pool_exhausted: 'The library is very busy: its database serves as many searches as it can.',
  database_unavailable: 'The database of the library does not answer at the moment.',
  database_busy: 'The library was being changed at the same time.',
  draining: 'This server is being replaced; another one will answer in a moment.',
  streams_exhausted: 'As many answers are being written as this server writes at a time. Searching still works.',
  memory_critical: 'The server is short of memory, and writes no answers and takes in no books until it has recovered. Searching still works.',
  ingest_busy: 'The server is reading as many books as it can.',
  keys_unavailable: 'The server cannot check who you are, because the keys for that cannot be fetched.',
  statement_timeout: 'The database took longer than this server allows. Fewer or rarer words are quicker.',
  deadline_exceeded: 'The answer took longer than this server allows. Fewer or rarer words are quicker.',
  internal: 'The server failed.',
  not_found: 'There is no such passage in the shared library or in your own: its book may have been deleted.',
  cursor_expired: 'The library has changed since this page was found.',
};

// A Refusal is why there is no answer: a sentence for the reader, what the server said besides, and the seconds after which
// asking again is worth it (0: it said nothing of that).
export class Refusal extends Error {
  constructor(sentence, { status = 0, code = '', detail = '', wait = 0, id = '' } = {}) {
    super(sentence);
    Object.assign(this, { status, code, detail, wait, id });
  }
}

const gone = () => new Refusal(navigator.onLine
  ? 'The server cannot be reached. It may be restarting: try again in a moment.'
  : 'This device is offline.');

// ask requests a path of the API and returns the answer, or throws a Refusal, or an AbortError when it was called off.
export async function ask(path, headers, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers, cache: 'no-store', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer' });
  } catch (e) {
    throw e.name === 'AbortError' ? e : gone();
  }
  if (response.ok) return response;
  throw await refusal(response);
}

async function refusal(response) {
  const { status } = response;
  const wait = Number(response.headers.get('Retry-After')) || 0;
  const body = await response.json().catch(() => ({}));
  const known = { status, wait, code: String(body.error ?? ''), detail: String(body.detail ?? ''), id: String(body.request_id ?? '') };
  if (status === 429) {
    return new Refusal('You have asked more often than this server allows.', known);
  }
  return recorded(known);
}

// recorded is the Refusal of an error as the API writes it, which may also be the last record of a stream.
export function recorded(known) {
  const sentence = meanings[known.code] ?? sentenceOf(known.detail) ?? `The server refused, with status ${known.status}.`;
  return new Refusal(sentence, meanings[known.code] ? known : { ...known, detail: '' });
}

const sentenceOf = detail => (detail ? detail[0].toUpperCase() + detail.slice(1) + (/[.!?]$/.test(detail) ? '' : '.') : undefined);

// json reads an answer whole; one that is cut short is a Refusal.
export async function json(response) {
  try {
    return await response.json();
  } catch (e) {
    throw e.name === 'AbortError' ? e : new Refusal('The server broke off in the middle of its answer. Try again.');
  }
}

// records reads a stream, a JSON object in each line, as they come.
export async function* records(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (e) {
      throw e.name === 'AbortError' ? e : gone();
    }
    if (part.done) return;
    const lines = (rest + part.value).split('\n');
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}
