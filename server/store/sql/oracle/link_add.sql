/* tomehub:link_add */
INSERT INTO TOMEHUB_CONCEPT_CHUNKS (content_id, concept_id, weight)
VALUES (:content_id, :concept_id, :weight)
