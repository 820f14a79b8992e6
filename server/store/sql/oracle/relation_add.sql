/* tomehub:relation_add */
INSERT INTO TOMEHUB_RELATIONS (source_id, target_id, book_id, type, weight)
VALUES (:source_id, :target_id, :book_id, :type, :weight)
