/* tomehub:concepts_known */
SELECT asked.key, c.id
FROM json_each(:folded) AS asked
CROSS JOIN TOMEHUB_CONCEPTS AS c ON c.owner_id = :owner AND c.folded = asked.value
