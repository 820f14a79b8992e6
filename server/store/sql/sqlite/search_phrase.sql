/* tomehub:search_phrase */
WITH matched AS MATERIALIZED ( -- a phrase is dear to look for, so its matches are kept and counted instead of looked for again
  SELECT rowid AS id, bm25(TOMEHUB_CONTENT_FTS) AS bm
  FROM TOMEHUB_CONTENT_FTS
  WHERE TOMEHUB_CONTENT_FTS MATCH :query
    AND (rowid < 4294967296 OR rowid BETWEEN :lo AND :hi)
),
total AS MATERIALIZED (
  SELECT count(*) AS matches
  FROM matched
),
best AS MATERIALIZED (
  SELECT id, bm
  FROM matched
  ORDER BY bm, id
  LIMIT :page_size OFFSET :offset
)
SELECT total.matches, best.id, -best.bm AS score, c.book_id, c.seq, c.page_number, c.title, c.source_type, c.chapter
FROM total
LEFT JOIN best ON true
LEFT JOIN TOMEHUB_CONTENT AS c ON c.id = best.id
ORDER BY best.bm, best.id
