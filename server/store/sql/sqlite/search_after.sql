/* tomehub:search_after */
WITH ranked AS MATERIALIZED ( -- scored once, where the filter below would have each match scored again
  SELECT rowid AS id, bm25(TOMEHUB_CONTENT_FTS) AS bm
  FROM TOMEHUB_CONTENT_FTS
  WHERE TOMEHUB_CONTENT_FTS MATCH :query
    AND (rowid < 4294967296 OR rowid BETWEEN :lo AND :hi)
),
seen AS MATERIALIZED ( -- another owner's book moves all scores alike, so the last match's own score of now comes first
  SELECT coalesce((SELECT bm FROM ranked WHERE id = :after_id), -:after_score) AS bm
),
best AS MATERIALIZED (
  SELECT ranked.id, ranked.bm
  FROM ranked, seen
  WHERE ranked.bm > seen.bm OR ranked.bm = seen.bm AND ranked.id > :after_id
  ORDER BY ranked.bm, ranked.id
  LIMIT :page_size
)
SELECT best.id, -best.bm AS score, c.book_id, c.seq, c.page_number, c.title, c.source_type, c.chapter
FROM best
JOIN TOMEHUB_CONTENT AS c ON c.id = best.id
ORDER BY best.bm, best.id
