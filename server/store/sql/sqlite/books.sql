/* tomehub:books */
SELECT total.books, b.id, b.title, b.author, b.source_type, b.hash, b.passages, b.words, b.created_at_ms
FROM (
  SELECT count(*) AS books
  FROM TOMEHUB_BOOKS
  WHERE id < 4294967296 OR id BETWEEN :lo AND :hi
) AS total
LEFT JOIN ( -- a row with the total also when the page is past the last book
  SELECT id, title, author, source_type, hash, passages, words, created_at_ms
  FROM TOMEHUB_BOOKS
  WHERE id < 4294967296 OR id BETWEEN :lo AND :hi
  ORDER BY created_at_ms DESC, id DESC
  LIMIT :page_size OFFSET :offset
) AS b ON true
ORDER BY b.created_at_ms DESC, b.id DESC
