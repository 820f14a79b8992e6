/* tomehub:book_span */
SELECT b.first_passage, b.passages, o.id
FROM TOMEHUB_OWNERS AS o
JOIN TOMEHUB_BOOKS AS b ON b.id >> 32 = o.id
WHERE o.owner = :owner
  AND b.id = :id
