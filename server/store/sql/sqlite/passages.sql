/* tomehub:passages */
SELECT c.id, c.book_id, c.seq, c.page_number, c.title, c.source_type, c.chapter, c.content, m.metadata
FROM json_each(:ids) AS asked
CROSS JOIN TOMEHUB_CONTENT AS c ON c.id = asked.value
LEFT JOIN TOMEHUB_METADATA AS m ON m.content_id = c.id
WHERE c.id < 4294967296 OR c.id BETWEEN :lo AND :hi
ORDER BY asked.key
