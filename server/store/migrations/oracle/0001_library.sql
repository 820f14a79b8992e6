/* The library. Every id says whose it is: owner number * 2^32 + a running number of that
   owner, so the shared library, owner 0, has the ids 1, 2, 3 and so on, and the test of an
   owner in a search is a comparison of ids. Ids stay below 2^53, so every JSON reader keeps
   them exact; there can be 2^21 owners. Ids are never given twice.

   Statements are separated by a line with a slash alone, as in SQL*Plus. DDL commits by
   itself, so each statement can be run again: what exists already is left as it is.

   No foreign keys: the only writers are transactions that store or delete a book as a whole.
   Oracle keeps an empty text as NULL, so columns that may be empty have no NOT NULL. */
CREATE TABLE TOMEHUB_LIBRARY (
  id         NUMBER(1) NOT NULL,
  generation NUMBER(19) NOT NULL, /* number of the last commit of a change, one count for all owners */
  CONSTRAINT TOMEHUB_LIBRARY_PK PRIMARY KEY (id),
  CONSTRAINT TOMEHUB_LIBRARY_ONE CHECK (id = 1)
)
/
MERGE INTO TOMEHUB_LIBRARY l
USING (SELECT 1 AS id FROM DUAL) n
ON (l.id = n.id)
WHEN NOT MATCHED THEN INSERT (id, generation) VALUES (n.id, 0)
/
CREATE TABLE TOMEHUB_OWNERS (
  id         NUMBER(10) NOT NULL,
  owner      VARCHAR2(256 CHAR), /* empty for the shared library, number 0, alone */
  generation NUMBER(19) NOT NULL, /* of the last change of what the owner has */
  CONSTRAINT TOMEHUB_OWNERS_PK PRIMARY KEY (id),
  CONSTRAINT TOMEHUB_OWNERS_NAME UNIQUE (owner),
  CONSTRAINT TOMEHUB_OWNERS_MOST CHECK (id BETWEEN 0 AND 2097151),
  CONSTRAINT TOMEHUB_OWNERS_NAMED CHECK (id = 0 OR owner IS NOT NULL)
)
/
CREATE INDEX TOMEHUB_OWNERS_GENERATION ON TOMEHUB_OWNERS (generation)
/
MERGE INTO TOMEHUB_OWNERS o
USING (SELECT 0 AS id FROM DUAL) n
ON (o.id = n.id)
WHEN NOT MATCHED THEN INSERT (id, owner, generation) VALUES (n.id, NULL, 0)
/
/* The last ids given. Beside the owners and not in them: a book on its way in holds the
   row of its owner here from its start, and the row there only while the row of the library is held. */
CREATE TABLE TOMEHUB_COUNTERS (
  owner_id     NUMBER(10) NOT NULL,
  last_book    NUMBER(19) NOT NULL,
  last_passage NUMBER(19) NOT NULL,
  last_concept NUMBER(19) NOT NULL,
  CONSTRAINT TOMEHUB_COUNTERS_PK PRIMARY KEY (owner_id)
)
/
MERGE INTO TOMEHUB_COUNTERS t
USING (SELECT 0 AS owner_id FROM DUAL) n
ON (t.owner_id = n.owner_id)
WHEN NOT MATCHED THEN INSERT (owner_id, last_book, last_passage, last_concept) VALUES (n.owner_id, 0, 0, 0)
/
CREATE TABLE TOMEHUB_BOOKS (
  id            NUMBER(19) NOT NULL,
  owner_id      NUMBER(10) GENERATED ALWAYS AS (FLOOR(id / 4294967296)) VIRTUAL,
  title         VARCHAR2(1000 CHAR),
  author        VARCHAR2(1000 CHAR),
  source_type   VARCHAR2(1000 CHAR),
  hash          VARCHAR2(1000 CHAR) NOT NULL,
  first_passage NUMBER(19) NOT NULL, /* the passages have the ids from here on, without a gap */
  passages      NUMBER(10) NOT NULL,
  words         NUMBER(19) NOT NULL,
  created_at_ms NUMBER(19) NOT NULL, /* Unix time */
  CONSTRAINT TOMEHUB_BOOKS_PK PRIMARY KEY (id)
)
/
CREATE UNIQUE INDEX TOMEHUB_BOOKS_HASH ON TOMEHUB_BOOKS (owner_id, hash)
/
CREATE TABLE TOMEHUB_CONTENT (
  id          NUMBER(19) NOT NULL,
  book_id     NUMBER(19) NOT NULL,
  seq         NUMBER(10) NOT NULL, /* place in the book, from 0 */
  page_number NUMBER(10) NOT NULL, /* 0: unknown */
  title       VARCHAR2(1000 CHAR), /* of the book, beside each passage: a page of matches needs no second join */
  source_type VARCHAR2(1000 CHAR),
  chapter     VARCHAR2(1000 CHAR),
  content     CLOB,
  words       CLOB, /* of content: folded, one space apart, as they are searched for */
  CONSTRAINT TOMEHUB_CONTENT_PK PRIMARY KEY (id)
)
/
CREATE TABLE TOMEHUB_METADATA (
  content_id NUMBER(19) NOT NULL,
  metadata   CLOB NOT NULL, /* JSON object */
  CONSTRAINT TOMEHUB_METADATA_PK PRIMARY KEY (content_id)
)
/
CREATE TABLE TOMEHUB_CONCEPTS (
  id       NUMBER(19) NOT NULL,
  owner_id NUMBER(10) GENERATED ALWAYS AS (FLOOR(id / 4294967296)) VIRTUAL,
  name     VARCHAR2(1000 CHAR) NOT NULL,
  folded   VARCHAR2(1000 CHAR) NOT NULL, /* the words of the name, by which concepts are the same */
  CONSTRAINT TOMEHUB_CONCEPTS_PK PRIMARY KEY (id)
)
/
CREATE UNIQUE INDEX TOMEHUB_CONCEPTS_FOLDED ON TOMEHUB_CONCEPTS (owner_id, folded)
/
CREATE TABLE TOMEHUB_CONCEPT_CHUNKS (
  content_id NUMBER(19) NOT NULL,
  concept_id NUMBER(19) NOT NULL,
  weight     NUMBER NOT NULL,
  CONSTRAINT TOMEHUB_CONCEPT_CHUNKS_PK PRIMARY KEY (content_id, concept_id)
)
ORGANIZATION INDEX
/
CREATE INDEX TOMEHUB_CONCEPT_CHUNKS_CONCEPT ON TOMEHUB_CONCEPT_CHUNKS (concept_id, content_id)
/
/* One row per book that ties the two, so that deleting a book takes away its own part of the
   weight and nothing else. source_id is the concept whose folded name comes first. */
CREATE TABLE TOMEHUB_RELATIONS (
  source_id NUMBER(19) NOT NULL,
  target_id NUMBER(19) NOT NULL,
  book_id   NUMBER(19) NOT NULL,
  type      VARCHAR2(100 CHAR) NOT NULL,
  weight    NUMBER NOT NULL,
  CONSTRAINT TOMEHUB_RELATIONS_PK PRIMARY KEY (source_id, target_id, book_id, type)
)
ORGANIZATION INDEX
/
CREATE INDEX TOMEHUB_RELATIONS_BOOK ON TOMEHUB_RELATIONS (book_id)
/
/* Every preference is named, because the default lexer and stop words hang on the language that
   the database was installed for. These come with Oracle Text, and naming them needs no grant. */
CREATE INDEX TOMEHUB_CONTENT_WORDS ON TOMEHUB_CONTENT (words)
INDEXTYPE IS CTXSYS.CONTEXT
PARAMETERS ('FILTER CTXSYS.NULL_FILTER LEXER CTXSYS.BASIC_LEXER WORDLIST CTXSYS.BASIC_WORDLIST STOPLIST CTXSYS.EMPTY_STOPLIST SECTION GROUP CTXSYS.NULL_SECTION_GROUP SYNC (ON COMMIT)')
