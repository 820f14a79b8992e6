/* tomehub:book */
SELECT id, title, author, source_type, hash, passages, words, created_at_ms
FROM TOMEHUB_BOOKS
WHERE id = :id
  AND (id < 4294967296 OR id BETWEEN :lo AND :hi)
