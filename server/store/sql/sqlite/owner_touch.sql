/* tomehub:owner_touch */
UPDATE TOMEHUB_OWNERS
SET generation = (SELECT max(generation) + 1 FROM TOMEHUB_OWNERS)
WHERE id = :owner
RETURNING generation
