/* tomehub:titles */
SELECT c.id, c.book_id, c.title, c.page_number
FROM json_each(:ids) AS asked
CROSS JOIN TOMEHUB_CONTENT AS c ON c.id = asked.value
WHERE c.id < 4294967296 OR c.id BETWEEN :lo AND :hi
ORDER BY asked.key
