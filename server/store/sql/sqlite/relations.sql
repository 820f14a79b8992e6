/* tomehub:relations */
WITH top AS MATERIALIZED (
  SELECT min(c.id) AS id, c.name, c.folded, sum(l.weight) AS score, count(DISTINCT l.content_id) AS passages
  FROM json_each(:ids) AS asked
  CROSS JOIN TOMEHUB_CONCEPT_CHUNKS AS l ON l.content_id = asked.value
  CROSS JOIN TOMEHUB_CONCEPTS AS c ON c.id = l.concept_id
  WHERE l.content_id < 4294967296 OR l.content_id BETWEEN :lo AND :hi
  GROUP BY c.folded
  ORDER BY score DESC, c.folded
  LIMIT :most
),
members AS MATERIALIZED ( -- the same name may be a concept of the shared library and of the owner's
  SELECT c.id, t.folded, t.name
  FROM top AS t
  CROSS JOIN TOMEHUB_CONCEPTS AS c ON c.owner_id IN (0, :owner) AND c.folded = t.folded
),
tied AS MATERIALIZED (
  SELECT a.name AS source, b.name AS target, r.type, sum(r.weight) AS weight, a.folded AS source_folded, b.folded AS target_folded
  FROM members AS a
  CROSS JOIN members AS b ON a.folded < b.folded
  CROSS JOIN TOMEHUB_RELATIONS AS r ON r.source_id = a.id AND r.target_id = b.id
  GROUP BY a.folded, b.folded, r.type
  ORDER BY weight DESC, a.folded, b.folded, r.type
  LIMIT :most
)
SELECT source, target, type, weight
FROM tied
ORDER BY weight DESC, source_folded, target_folded, type
