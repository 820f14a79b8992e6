/* tomehub:books */
WITH total AS (
  SELECT COUNT(*) AS books
  FROM TOMEHUB_BOOKS
  WHERE id < 4294967296 OR id BETWEEN :lo AND :hi
),
newest AS (
  SELECT id, title, author, source_type, hash, passages, words, created_at_ms
  FROM TOMEHUB_BOOKS
  WHERE id < 4294967296 OR id BETWEEN :lo AND :hi
  ORDER BY created_at_ms DESC, id DESC
  OFFSET :offset ROWS FETCH NEXT :page_size ROWS ONLY
)
SELECT total.books, b.id, b.title, b.author, b.source_type, b.hash, b.passages, b.words, b.created_at_ms
FROM total
LEFT JOIN newest b ON 1 = 1 /* a row with the total also when the page is past the last book */
ORDER BY b.created_at_ms DESC, b.id DESC
