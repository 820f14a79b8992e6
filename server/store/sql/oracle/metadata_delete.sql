/* tomehub:metadata_delete */
DELETE FROM TOMEHUB_METADATA
WHERE content_id BETWEEN :first AND :last
