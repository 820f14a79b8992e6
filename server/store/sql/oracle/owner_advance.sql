/* tomehub:owner_advance */
UPDATE TOMEHUB_COUNTERS
SET last_book = :book,
    last_passage = :passage,
    last_concept = :concept
WHERE owner_id = :owner
