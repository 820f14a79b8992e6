/* tomehub:metadata_add */
INSERT INTO TOMEHUB_METADATA (content_id, metadata)
VALUES (?1, ?2)
