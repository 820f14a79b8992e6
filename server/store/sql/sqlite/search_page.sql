/* tomehub:search_page */
WITH best AS MATERIALIZED ( -- limited before the join, so that only the page's rows are read
  SELECT rowid AS id, bm25(TOMEHUB_CONTENT_FTS) AS bm
  FROM TOMEHUB_CONTENT_FTS
  WHERE TOMEHUB_CONTENT_FTS MATCH :query
    AND (rowid < 4294967296 OR rowid BETWEEN :lo AND :hi)
  ORDER BY bm, id
  LIMIT :page_size OFFSET :offset
),
total AS MATERIALIZED (
  SELECT count(*) AS matches
  FROM TOMEHUB_CONTENT_FTS
  WHERE TOMEHUB_CONTENT_FTS MATCH :query
    AND (rowid < 4294967296 OR rowid BETWEEN :lo AND :hi)
)
SELECT total.matches, best.id, -best.bm AS score, c.book_id, c.seq, c.page_number, c.title, c.source_type, c.chapter
FROM total
LEFT JOIN best ON true -- a row with the total also when the page is past the last match
LEFT JOIN TOMEHUB_CONTENT AS c ON c.id = best.id
ORDER BY best.bm, best.id
