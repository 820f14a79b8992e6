/* tomehub:owner_lock */
SELECT t.owner_id, t.last_book, t.last_passage, t.last_concept
FROM TOMEHUB_COUNTERS t
WHERE t.owner_id = :owner
FOR UPDATE WAIT 60
