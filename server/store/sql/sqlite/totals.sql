/* tomehub:totals */
SELECT count(*), coalesce(sum(passages), 0)
FROM TOMEHUB_BOOKS
WHERE id < 4294967296 OR id BETWEEN :lo AND :hi
