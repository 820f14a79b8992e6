/* tomehub:concepts */
SELECT /*+ LEADING(asked) USE_NL(l) CARDINALITY(asked 50) */
  MIN(c.id) AS id, MIN(c.name) KEEP (DENSE_RANK FIRST ORDER BY c.id) AS name,
  SUM(l.weight) AS score, COUNT(DISTINCT l.content_id) AS passages
FROM JSON_TABLE(:ids, '$[*]' COLUMNS (id NUMBER PATH '$')) asked
JOIN TOMEHUB_CONCEPT_CHUNKS l ON l.content_id = asked.id
JOIN TOMEHUB_CONCEPTS c ON c.id = l.concept_id
WHERE l.content_id < 4294967296 OR l.content_id BETWEEN :lo AND :hi
GROUP BY c.folded
ORDER BY score DESC, c.folded
FETCH FIRST :most ROWS ONLY
