/* tomehub:counter_add */
MERGE INTO TOMEHUB_COUNTERS t
USING (SELECT id, id * 4294967296 AS base FROM TOMEHUB_OWNERS WHERE owner = :owner) n
ON (t.owner_id = n.id)
WHEN NOT MATCHED THEN INSERT (owner_id, last_book, last_passage, last_concept) VALUES (n.id, n.base, n.base, n.base)
