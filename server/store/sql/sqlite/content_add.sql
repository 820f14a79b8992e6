/* tomehub:content_add */
INSERT INTO TOMEHUB_CONTENT (id, book_id, seq, page_number, title, source_type, chapter, content)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
