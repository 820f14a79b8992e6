/* tomehub:book_span */
SELECT b.first_passage, b.passages
FROM TOMEHUB_BOOKS b
WHERE b.id = :id
  AND b.owner_id = :owner
