/* tomehub:totals */
SELECT COUNT(*), COALESCE(SUM(b.passages), 0)
FROM TOMEHUB_BOOKS b
WHERE b.id < 4294967296 OR b.id BETWEEN :lo AND :hi
