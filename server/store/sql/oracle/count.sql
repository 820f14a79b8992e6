/* tomehub:count */
SELECT COUNT(*)
FROM TOMEHUB_CONTENT c
WHERE CONTAINS(c.words, :query) > 0
  AND (c.id < 4294967296 OR c.id BETWEEN :lo AND :hi)
