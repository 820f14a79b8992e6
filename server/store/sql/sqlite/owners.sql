/* tomehub:owners */
SELECT id, owner, generation
FROM TOMEHUB_OWNERS
WHERE generation > :seen
