/* tomehub:search_ids */
SELECT c.id, SCORE(1) AS score
FROM TOMEHUB_CONTENT c
WHERE CONTAINS(c.words, :query, 1) > 0
  AND (c.id < 4294967296 OR c.id BETWEEN :lo AND :hi)
ORDER BY SCORE(1) DESC, c.id
OFFSET :offset ROWS FETCH NEXT :page_size ROWS ONLY
