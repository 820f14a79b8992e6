/* tomehub:metadata_add */
INSERT INTO TOMEHUB_METADATA (content_id, metadata)
VALUES (:content_id, :metadata)
