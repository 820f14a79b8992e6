/* tomehub:words_delete */
DELETE FROM TOMEHUB_CONTENT_FTS
WHERE rowid BETWEEN :first AND :last
