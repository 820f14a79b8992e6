/* tomehub:book */
SELECT b.id, b.title, b.author, b.source_type, b.hash, b.passages, b.words, b.created_at_ms
FROM TOMEHUB_BOOKS b
WHERE b.id = :id
  AND (b.id < 4294967296 OR b.id BETWEEN :lo AND :hi)
