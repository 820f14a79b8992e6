/* tomehub:link_add */
INSERT INTO TOMEHUB_CONCEPT_CHUNKS (content_id, concept_id, weight)
VALUES (?1, ?2, ?3)
