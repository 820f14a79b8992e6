/* tomehub:concept_add */
INSERT INTO TOMEHUB_CONCEPTS (id, name, folded)
VALUES (?1, ?2, ?3)
