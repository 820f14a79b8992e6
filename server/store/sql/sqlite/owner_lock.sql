/* tomehub:owner_lock */
SELECT id, last_book, last_passage, last_concept
FROM TOMEHUB_OWNERS
WHERE owner = :owner
