/* tomehub:owner_add */
INSERT INTO TOMEHUB_OWNERS (id, owner, last_book, last_passage, last_concept)
SELECT max(id) + 1, :owner, (max(id) + 1) << 32, (max(id) + 1) << 32, (max(id) + 1) << 32
FROM TOMEHUB_OWNERS
RETURNING id, last_book, last_passage, last_concept
