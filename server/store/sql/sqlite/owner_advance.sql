/* tomehub:owner_advance */
UPDATE TOMEHUB_OWNERS
SET last_book = :book,
    last_passage = :passage,
    last_concept = :concept,
    generation = (SELECT max(generation) + 1 FROM TOMEHUB_OWNERS)
WHERE id = :owner
RETURNING generation
