/* tomehub:concept_add */
MERGE INTO TOMEHUB_CONCEPTS c
USING (SELECT :id AS id, :name AS name, :folded AS folded FROM DUAL) n
ON (c.owner_id = FLOOR(n.id / 4294967296) AND c.folded = n.folded)
WHEN NOT MATCHED THEN INSERT (id, name, folded) VALUES (n.id, n.name, n.folded)
