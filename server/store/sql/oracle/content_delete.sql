/* tomehub:content_delete */
DELETE FROM TOMEHUB_CONTENT
WHERE id BETWEEN :first AND :last
