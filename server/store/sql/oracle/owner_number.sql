/* tomehub:owner_number */
SELECT o.id
FROM TOMEHUB_OWNERS o
WHERE o.owner = :owner
