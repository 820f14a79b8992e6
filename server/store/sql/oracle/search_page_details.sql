/* tomehub:search_page_details */
WITH best AS (
  SELECT c.id, SCORE(1) AS score
  FROM TOMEHUB_CONTENT c
  WHERE CONTAINS(c.words, :query, 1) > 0
    AND (c.id < 4294967296 OR c.id BETWEEN :lo AND :hi)
  ORDER BY SCORE(1) DESC, c.id
  OFFSET :offset ROWS FETCH NEXT :page_size ROWS ONLY
),
total AS (
  SELECT COUNT(*) AS matches
  FROM TOMEHUB_CONTENT c
  WHERE CONTAINS(c.words, :query) > 0
    AND (c.id < 4294967296 OR c.id BETWEEN :lo AND :hi)
)
SELECT total.matches, best.id, best.score, c.book_id, c.seq, c.page_number, c.title, c.source_type, c.chapter, c.content, m.metadata
FROM total
LEFT JOIN best ON 1 = 1 /* a row with the total also when the page is past the last match */
LEFT JOIN TOMEHUB_CONTENT c ON c.id = best.id
LEFT JOIN TOMEHUB_METADATA m ON m.content_id = best.id
ORDER BY best.score DESC, best.id
