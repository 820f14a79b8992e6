/* tomehub:content_add */
INSERT INTO TOMEHUB_CONTENT (id, book_id, seq, page_number, title, source_type, chapter, content, words)
VALUES (:id, :book, :seq, :page_number, :title, :source_type, :chapter, :content, :words)
