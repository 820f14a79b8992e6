/* tomehub:concepts_relations */
WITH top AS (
  SELECT /*+ LEADING(asked) USE_NL(l) CARDINALITY(asked 50) */
    MIN(c.id) AS id, MIN(c.name) KEEP (DENSE_RANK FIRST ORDER BY c.id) AS name, c.folded,
    SUM(l.weight) AS score, COUNT(DISTINCT l.content_id) AS passages
  FROM JSON_TABLE(:ids, '$[*]' COLUMNS (id NUMBER PATH '$')) asked
  JOIN TOMEHUB_CONCEPT_CHUNKS l ON l.content_id = asked.id
  JOIN TOMEHUB_CONCEPTS c ON c.id = l.concept_id
  WHERE l.content_id < 4294967296 OR l.content_id BETWEEN :lo AND :hi
  GROUP BY c.folded
  ORDER BY score DESC, c.folded
  FETCH FIRST :most ROWS ONLY
),
members AS ( /* the same name may be a concept of the shared library and of the owner */
  SELECT c.id, t.folded, t.name
  FROM top t
  JOIN TOMEHUB_CONCEPTS c ON c.owner_id IN (0, :owner) AND c.folded = t.folded
),
tied AS (
  SELECT a.name AS source, b.name AS target, r.type, SUM(r.weight) AS weight, a.folded AS source_folded, b.folded AS target_folded
  FROM members a
  JOIN members b ON a.folded < b.folded
  JOIN TOMEHUB_RELATIONS r ON r.source_id = a.id AND r.target_id = b.id
  GROUP BY a.folded, a.name, b.folded, b.name, r.type
  ORDER BY weight DESC, a.folded, b.folded, r.type
  FETCH FIRST :most ROWS ONLY
)
SELECT kind, id, name, target, type, weight, passages
FROM (
  SELECT 'concept' AS kind, id, name, NULL AS target, NULL AS type, score AS weight, passages, folded AS tie, NULL AS second_tie
  FROM top
  UNION ALL
  SELECT 'relation', 0, source, target, type, weight, 0, source_folded, target_folded
  FROM tied
)
ORDER BY kind, weight DESC, tie, second_tie, type
