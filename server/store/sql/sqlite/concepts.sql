/* tomehub:concepts */
SELECT min(c.id) AS id, c.name, sum(l.weight) AS score, count(DISTINCT l.content_id) AS passages
FROM json_each(:ids) AS asked
CROSS JOIN TOMEHUB_CONCEPT_CHUNKS AS l ON l.content_id = asked.value
CROSS JOIN TOMEHUB_CONCEPTS AS c ON c.id = l.concept_id
WHERE l.content_id < 4294967296 OR l.content_id BETWEEN :lo AND :hi
GROUP BY c.folded
ORDER BY score DESC, c.folded
LIMIT :most
