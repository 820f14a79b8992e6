/* tomehub:search_after */
WITH ranked AS ( /* looked up once, although it is read twice */
  SELECT /*+ MATERIALIZE */ c.id, SCORE(1) AS score
  FROM TOMEHUB_CONTENT c
  WHERE CONTAINS(c.words, :query, 1) > 0
    AND (c.id < 4294967296 OR c.id BETWEEN :lo AND :hi)
),
seen AS ( /* another book moves all scores alike, so the last match comes first with the score it has now */
  SELECT COALESCE((SELECT r.score FROM ranked r WHERE r.id = :after_id), :after_score) AS score
  FROM DUAL
),
best AS (
  SELECT r.id, r.score
  FROM ranked r
  CROSS JOIN seen s
  WHERE r.score < s.score OR (r.score = s.score AND r.id > :after_id)
  ORDER BY r.score DESC, r.id
  FETCH FIRST :page_size ROWS ONLY
)
SELECT best.id, best.score, c.book_id, c.seq, c.page_number, c.title, c.source_type, c.chapter
FROM best
JOIN TOMEHUB_CONTENT c ON c.id = best.id
ORDER BY best.score DESC, best.id
