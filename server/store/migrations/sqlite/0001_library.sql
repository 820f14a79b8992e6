-- The library. Every id says whose it is: owner number * 2^32 + a running number
-- of that owner, so the shared library, owner 0, has the ids 1, 2, 3 and so on.
-- The owner's test in a search is thereby a comparison of row numbers, which the
-- full-text index answers before it scores a row and without a join. Ids stay
-- below 2^53, so every JSON reader keeps them exact; there can be 2^21 owners.
-- Ids are never given twice, also not after their book was deleted.
--
-- No foreign keys: each insert of a passage would look its book up again, and
-- the only writer is one transaction that stores or deletes a book as a whole.

CREATE TABLE TOMEHUB_OWNERS (
  id           INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 2097151),
  owner        TEXT NOT NULL UNIQUE,
  generation   INTEGER NOT NULL DEFAULT 0, -- of the owner's last change; one count for all owners
  last_book    INTEGER NOT NULL,           -- last id given
  last_passage INTEGER NOT NULL,
  last_concept INTEGER NOT NULL
) STRICT;
CREATE INDEX TOMEHUB_OWNERS_GENERATION ON TOMEHUB_OWNERS (generation);
INSERT INTO TOMEHUB_OWNERS (id, owner, last_book, last_passage, last_concept) VALUES (0, '', 0, 0, 0);

CREATE TABLE TOMEHUB_BOOKS (
  id            INTEGER PRIMARY KEY,
  owner_id      INTEGER GENERATED ALWAYS AS (id >> 32) VIRTUAL,
  title         TEXT NOT NULL,
  author        TEXT NOT NULL,
  source_type   TEXT NOT NULL,
  hash          TEXT NOT NULL,
  first_passage INTEGER NOT NULL, -- a book's passages have the ids from here on, without a gap
  passages      INTEGER NOT NULL,
  words         INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL  -- Unix time
) STRICT;
CREATE UNIQUE INDEX TOMEHUB_BOOKS_HASH ON TOMEHUB_BOOKS (owner_id, hash);

CREATE TABLE TOMEHUB_CONTENT (
  id          INTEGER PRIMARY KEY,
  owner_id    INTEGER GENERATED ALWAYS AS (id >> 32) VIRTUAL,
  book_id     INTEGER NOT NULL,
  seq         INTEGER NOT NULL, -- place in the book, from 0
  page_number INTEGER NOT NULL, -- 0: unknown
  title       TEXT NOT NULL,    -- of the book, beside each passage: a page of matches needs no second join
  source_type TEXT NOT NULL,
  chapter     TEXT NOT NULL,
  content     TEXT NOT NULL
) STRICT;

CREATE TABLE TOMEHUB_METADATA (
  content_id INTEGER PRIMARY KEY,
  metadata   TEXT NOT NULL      -- JSON object
) STRICT;

-- The index over the words of TOMEHUB_CONTENT.content, by its id. It keeps no text
-- of its own (content=''), and is given folded words, one space apart.
CREATE VIRTUAL TABLE TOMEHUB_CONTENT_FTS USING fts5 (
  content,
  content = '', contentless_delete = 1, detail = full,
  tokenize = 'unicode61 remove_diacritics 2'
);
-- Bytes that the index gathers in memory before it writes a segment. With the
-- usual 1 MiB a book is several segments, which are then merged again and again:
-- storing many books took a fifth longer.
INSERT INTO TOMEHUB_CONTENT_FTS (TOMEHUB_CONTENT_FTS, rank) VALUES ('hashsize', 16777216);

CREATE TABLE TOMEHUB_CONCEPTS (
  id       INTEGER PRIMARY KEY,
  owner_id INTEGER GENERATED ALWAYS AS (id >> 32) VIRTUAL,
  name     TEXT NOT NULL,
  folded   TEXT NOT NULL -- the words of the name, by which concepts are the same
) STRICT;
CREATE UNIQUE INDEX TOMEHUB_CONCEPTS_FOLDED ON TOMEHUB_CONCEPTS (owner_id, folded);

CREATE TABLE TOMEHUB_CONCEPT_CHUNKS (
  content_id INTEGER NOT NULL,
  concept_id INTEGER NOT NULL,
  weight     REAL NOT NULL,
  PRIMARY KEY (content_id, concept_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX TOMEHUB_CONCEPT_CHUNKS_CONCEPT ON TOMEHUB_CONCEPT_CHUNKS (concept_id, content_id);

-- One row per book that ties the two, so that deleting a book takes away its own
-- part of the weight and nothing else. source_id is the concept whose folded name
-- comes first.
CREATE TABLE TOMEHUB_RELATIONS (
  source_id INTEGER NOT NULL,
  target_id INTEGER NOT NULL,
  book_id   INTEGER NOT NULL,
  type      TEXT NOT NULL,
  weight    REAL NOT NULL,
  PRIMARY KEY (source_id, target_id, book_id, type)
) STRICT, WITHOUT ROWID;
CREATE INDEX TOMEHUB_RELATIONS_BOOK ON TOMEHUB_RELATIONS (book_id);
