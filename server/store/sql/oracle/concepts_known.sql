/* tomehub:concepts_known */
SELECT /*+ LEADING(asked) USE_NL(c) CARDINALITY(asked 100) */
  asked.place - 1, c.id
FROM JSON_TABLE(:folded, '$[*]' COLUMNS (place FOR ORDINALITY, folded VARCHAR2(4000) PATH '$')) asked
JOIN TOMEHUB_CONCEPTS c ON c.owner_id = :owner AND c.folded = asked.folded
