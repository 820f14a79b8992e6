/* tomehub:titles */
SELECT /*+ LEADING(asked) USE_NL(c) CARDINALITY(asked 50) */
  c.id, c.book_id, c.title, c.page_number
FROM JSON_TABLE(:ids, '$[*]' COLUMNS (place FOR ORDINALITY, id NUMBER PATH '$')) asked
JOIN TOMEHUB_CONTENT c ON c.id = asked.id
WHERE c.id < 4294967296 OR c.id BETWEEN :lo AND :hi
ORDER BY asked.place
