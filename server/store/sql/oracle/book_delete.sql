/* tomehub:book_delete */
DELETE FROM TOMEHUB_BOOKS
WHERE id = :book
