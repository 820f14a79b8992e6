/* tomehub:owner_touch */
UPDATE TOMEHUB_OWNERS
SET generation = :generation
WHERE id = :owner
