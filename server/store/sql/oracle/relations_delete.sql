/* tomehub:relations_delete */
DELETE FROM TOMEHUB_RELATIONS
WHERE book_id = :book
