/* tomehub:words_add */
INSERT INTO TOMEHUB_CONTENT_FTS (rowid, content)
VALUES (?1, ?2)
