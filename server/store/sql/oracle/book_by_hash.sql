/* tomehub:book_by_hash */
SELECT b.id, b.first_passage, b.passages
FROM TOMEHUB_BOOKS b
WHERE b.owner_id = :owner
  AND b.hash = :hash
