/* tomehub:links_delete */
DELETE FROM TOMEHUB_CONCEPT_CHUNKS
WHERE content_id BETWEEN :first AND :last
