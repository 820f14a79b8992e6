/* tomehub:concepts_delete */
DELETE FROM TOMEHUB_CONCEPTS c
WHERE c.id IN (SELECT s.concept_id FROM TOMEHUB_CONCEPT_CHUNKS s WHERE s.content_id BETWEEN :first AND :last)
  AND NOT EXISTS ( /* carried by a passage of another book */
    SELECT 1
    FROM TOMEHUB_CONCEPT_CHUNKS l
    WHERE l.concept_id = c.id
      AND (l.content_id < :first OR l.content_id > :last)
  )
