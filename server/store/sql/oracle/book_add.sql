/* tomehub:book_add */
INSERT INTO TOMEHUB_BOOKS (id, title, author, source_type, hash, first_passage, passages, words, created_at_ms)
VALUES (:id, :title, :author, :source_type, :hash, :first_passage, :passages, :words, :created_at_ms)
