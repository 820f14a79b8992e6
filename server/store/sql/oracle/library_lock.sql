/* tomehub:library_lock */
SELECT l.generation
FROM TOMEHUB_LIBRARY l
WHERE l.id = 1
FOR UPDATE WAIT 60
