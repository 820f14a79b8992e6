/* tomehub:passage */
SELECT c.id, c.book_id, c.seq, c.page_number, c.title, c.source_type, c.chapter, c.content, m.metadata
FROM TOMEHUB_CONTENT c
LEFT JOIN TOMEHUB_METADATA m ON m.content_id = c.id
WHERE c.id = :id
  AND (c.id < 4294967296 OR c.id BETWEEN :lo AND :hi)
