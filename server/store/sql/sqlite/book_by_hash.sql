/* tomehub:book_by_hash */
SELECT id, first_passage, passages
FROM TOMEHUB_BOOKS
WHERE owner_id = :owner
  AND hash = :hash
