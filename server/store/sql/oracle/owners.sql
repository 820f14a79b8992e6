/* tomehub:owners */
SELECT o.id, o.owner, o.generation
FROM TOMEHUB_OWNERS o
WHERE o.generation > :seen
