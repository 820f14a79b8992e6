/* tomehub:concepts_delete */
DELETE FROM TOMEHUB_CONCEPTS
WHERE id IN (SELECT concept_id FROM TOMEHUB_CONCEPT_CHUNKS WHERE content_id BETWEEN :first AND :last)
  AND NOT EXISTS ( -- carried by a passage of another book
    SELECT 1
    FROM TOMEHUB_CONCEPT_CHUNKS AS l
    WHERE l.concept_id = TOMEHUB_CONCEPTS.id
      AND (l.content_id < :first OR l.content_id > :last)
  )
