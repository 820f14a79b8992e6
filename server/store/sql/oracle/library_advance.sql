/* tomehub:library_advance */
UPDATE TOMEHUB_LIBRARY
SET generation = :generation
WHERE id = 1
