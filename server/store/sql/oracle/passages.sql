/* tomehub:passages */
/* A list of unknown length is taken for 8168 rows, for which whole tables would be read, hence the hint. */
SELECT /*+ LEADING(asked) USE_NL(c) USE_NL(m) CARDINALITY(asked 50) */
  c.id, c.book_id, c.seq, c.page_number, c.title, c.source_type, c.chapter, c.content, m.metadata
FROM JSON_TABLE(:ids, '$[*]' COLUMNS (place FOR ORDINALITY, id NUMBER PATH '$')) asked
JOIN TOMEHUB_CONTENT c ON c.id = asked.id
LEFT JOIN TOMEHUB_METADATA m ON m.content_id = c.id
WHERE c.id < 4294967296 OR c.id BETWEEN :lo AND :hi
ORDER BY asked.place
