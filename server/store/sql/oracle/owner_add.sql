/* tomehub:owner_add */
MERGE INTO TOMEHUB_OWNERS o
USING (SELECT :owner AS owner, MAX(id) + 1 AS id FROM TOMEHUB_OWNERS) n
ON (o.owner = n.owner)
WHEN NOT MATCHED THEN INSERT (id, owner, generation) VALUES (n.id, n.owner, 0)
